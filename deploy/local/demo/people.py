"""Who lives where: countries with their share, language, cities and names in the scripts they are written in."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    region: str
    # Share among all contacts, relative.
    weight: int
    language: str
    cities: tuple[str, ...]
    first: tuple[str, ...]
    last: tuple[str, ...]


def _place(region: str, weight: int, language: str, *, cities: str, first: str, last: str) -> Place:
    return Place(region, weight, language, tuple(cities.split("|")), tuple(first.split()), tuple(last.split()))


PLACES = (
    _place(
        "US",
        16,
        "en",
        cities="New York|Austin|Seattle|Boise",
        first="Olivia Liam Emma Noah Ava Ethan Mia Lucas Zoë José Renée Tyler",
        last="Smith Johnson Williams Brown García Miller Davis O'Brien Nguyễn Lee",
    ),
    _place(
        "GB",
        8,
        "en",
        cities="London|Leeds|Cardiff|St Albans",
        first="Amelia Oliver Isla George Niamh Siân Harry Poppy Alfie Chloë",
        last="Jones Taylor Davies Evans Khan Wilson MacDonald O’Neill Hughes",
    ),
    _place(
        "DE",
        8,
        "de",
        cities="Berlin|München|Köln|Düsseldorf",
        first="Jürgen Käthe Björn Lena Felix Jörg Änne Uwe Sören Ursula",
        last="Müller Schröder Groß Weiß Fischer Köhler Jäger Schäfer Krüger",
    ),
    _place(
        "FR",
        7,
        "fr",
        cities="Paris|Lyon|Nîmes|Besançon",
        first="Chloé Léa Zoé François Hélène Théo Anaïs Jérôme Maëlle Loïc",
        last="Lefèvre Dubois Moreau Béranger Lemaître Gauthier Françoise Noël",
    ),
    _place(
        "ES",
        5,
        "es",
        cities="Madrid|Sevilla|A Coruña|Cádiz",
        first="Lucía Álvaro Iñigo Begoña Martín Sofía Ángel Nuria Raúl Inés",
        last="Muñoz Ibáñez Gómez Núñez Fernández Peña Martínez Ordóñez",
    ),
    _place(
        "BR",
        8,
        "pt",
        cities="São Paulo|Brasília|Maceió|Recife",
        first="João Júlia Antônio Luíza Caíque Débora Thiago Vitória Conceição",
        last="Gonçalves Araújo Conceição Magalhães Simões Souza Falcão",
    ),
    _place(
        "MX",
        6,
        "es",
        cities="Ciudad de México|Mérida|León|Oaxaca",
        first="José Guadalupe Ximena Ángel Fernanda Jesús Itzel Andrés",
        last="Hernández López Ramírez Peña Treviño Sánchez Güemes",
    ),
    _place(
        "PL",
        4,
        "pl",
        cities="Łódź|Kraków|Gdańsk|Warszawa",
        first="Łukasz Zofia Małgorzata Wojciech Żaneta Paweł Agnieszka",
        last="Wiśniewska Kowalczyk Dąbrowski Wójcik Zając Świątek Król",
    ),
    _place(
        "TR",
        4,
        "tr",
        cities="İstanbul|İzmir|Diyarbakır|Muğla",
        first="Ayşe Çağla Ömer İbrahim Gülşen Işıl Uğur Şeyma",
        last="Yılmaz Öztürk Çelik Şahin Kılıç Doğan Güneş",
    ),
    _place(
        "NG",
        4,
        "en",
        cities="Lagos|Abuja|Ìbàdàn|Enugu",
        first="Adébáyò Chinedu Ngozi Ọlámidé Funmiláyọ̀ Emeka Zainab Tunde",
        last="Okafor Adéyẹmí Balogun Ọkọnkwọ Eze Bello Adewale",
    ),
    _place(
        "IN",
        9,
        "hi",
        cities="Mumbai|Jaipur|Pune|Kochi",
        first="आरव प्रिया Aarav Priya अनिका Rohan Sneha विहान Kavya",
        last="शर्मा Sharma Patel Gupta पटेल Iyer Reddy सिंह",
    ),
    _place(
        "RU",
        4,
        "ru",
        cities="Москва|Казань|Тверь|Томск",
        first="Алексей Мария Дмитрий Ольга Сергей Наталья Фёдор Юлия",
        last="Иванов Кузнецова Смирнов Соловьёва Попов Щербакова",
    ),
    _place(
        "UA",
        3,
        "uk",
        cities="Київ|Львів|Одеса|Харків",
        first="Олександр Оксана Андрій Ірина Тарас Соломія Євген",
        last="Шевченко Бондаренко Ковальчук Ткаченко Гриценко Їжак",
    ),
    _place(
        "GR",
        2,
        "el",
        cities="Αθήνα|Θεσσαλονίκη|Πάτρα",
        first="Γιώργος Μαρία Δημήτρης Ελένη Νίκος Κατερίνα",
        last="Παπαδόπουλος Νικολάου Γεωργίου Παππάς Οικονόμου",
    ),
    _place(
        "EG",
        3,
        "ar",
        cities="القاهرة|الإسكندرية|الجيزة",
        first="محمد فاطمة أحمد نور يوسف مريم عمر سارة",
        last="حسن إبراهيم السيد عبدالله منصور فاروق",
    ),
    _place(
        "IL",
        2,
        "he",
        cities="תל אביב|חיפה|ירושלים",
        first="נועה איתי תמר יוסף שירה דוד מאיה",
        last="כהן לוי מזרחי פרץ ביטון אברהם",
    ),
    _place(
        "JP",
        4,
        "ja",
        cities="東京|大阪|札幌|福岡",
        first="陽菜 蓮 結衣 大翔 さくら 健太 美咲 ハルト",
        last="佐藤 鈴木 高橋 田中 渡辺 伊藤 山本",
    ),
    _place(
        "CN",
        3,
        "zh",
        cities="北京|上海|成都|广州",
        first="伟 芳 娜 敏 静 磊 洋 艳",
        last="王 李 张 刘 陈 杨 赵 黄",
    ),
    _place(
        "KR",
        2,
        "ko",
        cities="서울|부산|대구",
        first="민준 서연 도윤 지우 하은 예준 수아",
        last="김 이 박 최 정 강 조",
    ),
    _place(
        "TH",
        2,
        "th",
        cities="กรุงเทพ|เชียงใหม่|ภูเก็ต",
        first="สมชาย สุดา อนันต์ มาลี ณัฐ พิม",
        last="แสงทอง ศรีสุข วงศ์ใหญ่ บุญมี",
    ),
    _place(
        "ID",
        5,
        "id",
        cities="Jakarta|Bandung|Surabaya",
        first="Budi Siti Agus Dewi Putri Rizky Wayan Ayu",
        last="Santoso Wijaya Lestari Hidayat Saputra Nugroho",
    ),
    _place(
        "SE",
        2,
        "sv",
        cities="Göteborg|Malmö|Umeå",
        first="Åsa Björn Märta Göran Linnéa Örjan Elsa",
        last="Åkesson Sjöberg Lindström Björk Öberg Nyström",
    ),
    _place(
        "AE",
        2,
        "ar",
        cities="Dubai|أبوظبي|Sharjah",
        first="Khalid Aisha Omar ليلى Rashid هند Fatima",
        last="المنصوري Rahman الشامسي Haddad Malik",
    ),
    _place(
        "KE",
        2,
        "sw",
        cities="Nairobi|Mombasa|Kisumu",
        first="Wanjikũ Otieno Achieng Kamau Njeri Mwangi Baraka",
        last="Odhiambo Kariũki Wambua Kiptoo Ndũng'ũ Mutua",
    ),
)
