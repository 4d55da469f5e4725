{{/*
Everything secret that dev.enabled makes up, as YAML of name to text. What an earlier install made is kept, so that an
upgrade changes nothing. Each call makes up others: call it once.
*/}}
{{- define "carillon.dev.state" -}}
{{- $known := (lookup "v1" "Secret" .Release.Namespace (printf "%s-dev" (include "carillon.fullname" .))).data | default dict -}}
{{- $state := dict "postgres" (randAlphaNum 32) -}}
{{- range $service := (include "carillon.services" . | fromYaml).services -}}
{{- range $name := list "owner" "serve" "work" -}}
{{- $_ := set $state (printf "%s-%s" $service $name) (randAlphaNum 32) -}}
{{- end -}}
{{/* NATS reads its configuration's variables as it reads the rest of it: what begins with a digit may be a number. */}}
{{- $_ := set $state (printf "%s-nats" $service) (printf "p%s" (randAlphaNum 32)) -}}
{{- $pem := genPrivateKey "ed25519" -}}
{{- $_ := set $state (printf "%s-private" $service) (include "carillon.dev.seed" $pem) -}}
{{- $_ := set $state (printf "%s-public" $service) (include "carillon.dev.public" $pem) -}}
{{- end -}}
{{- $_ := set $state "erasure" (randBytes 32) -}}
{{- $_ := set $state "sealing" (randBytes 32 | replace "+" "-" | replace "/" "_") -}}
{{- $_ := set $state "webhook-sealing" (randBytes 32 | replace "+" "-" | replace "/" "_") -}}
{{- range $name, $encoded := $known -}}
{{- $_ := set $state $name (b64dec $encoded) -}}
{{- end -}}
{{- toYaml $state -}}
{{- end -}}

{{/* Of a private key in PEM: the base64 of its seed, which are the last 32 of the 48 bytes of its PKCS #8. */}}
{{- define "carillon.dev.seed" -}}
{{- $body := regexReplaceAll "-----[A-Z ]+-----|\\s" . "" -}}
{{- b64dec $body | substr 16 48 | b64enc -}}
{{- end -}}

{{/*
Its public key. No function of Helm's tells it, but a certificate made with the key carries it, after the 12 bytes that
begin every Ed25519 SubjectPublicKeyInfo.
*/}}
{{- define "carillon.dev.public" -}}
{{- $certificate := (genSelfSignedCertWithKey "carillon" nil nil 1 .).Cert -}}
{{- $body := regexReplaceAll "-----[A-Z ]+-----|\\s" $certificate "" -}}
{{- index (splitList (b64dec "MCowBQYDK2VwAyEA") (b64dec $body)) 1 | substr 0 32 | b64enc -}}
{{- end -}}

{{/* The configuration of a NATS server with a user per service; each may do what that service does and no more. */}}
{{- define "carillon.dev.nats" -}}
server_name: carillon
listen: "0.0.0.0:4222"
http: "0.0.0.0:8222"
max_payload: 4MB
jetstream { store_dir: "/data" }
accounts {
  CARILLON: {
  jetstream: enabled
  users: [
  {{- range $service, $user := .Files.Get "files/nats-users.json" | fromJson }}
    {
      user: {{ $service }}
      password: ${{ upper $service }}_PASSWORD
      permissions: {{ include "carillon.dev.permissions" $user | fromYaml | toRawJson }}
    }
  {{- end }}
  ]
  }
}
{{- end -}}

{{- define "carillon.dev.permissions" -}}
publish:
  {{- range .events }}
  - events.{{ . }}.>
  {{- end }}
  {{- range .pokes }}
  - poke.{{ . }}
  {{- end }}
  {{- range $stream := list "EVENTS" "DEAD" }}
  {{- range list "INFO" "CREATE" "UPDATE" }}
  - $JS.API.STREAM.{{ . }}.{{ $stream }}
  {{- end }}
  {{- end }}
  {{- range .durables }}
  - dead.{{ . }}
  - $JS.API.CONSUMER.DURABLE.CREATE.EVENTS.{{ . }}
  - $JS.API.CONSUMER.INFO.EVENTS.{{ . }}
  - $JS.API.CONSUMER.MSG.NEXT.EVENTS.{{ . }}
  - $JS.ACK.EVENTS.{{ . }}.>
  {{- end }}
subscribe:
  - _INBOX.>
  {{- range .pokes }}
  - poke.{{ . }}
  {{- end }}
{{- end -}}
