{{/* `carillon` for the release `carillon`, else RELEASE-carillon. Short enough for every suffix. */}}
{{- define "carillon.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 30 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 30 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Of (dict "root" $ "component" name): what never changes of an object's labels. */}}
{{- define "carillon.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "carillon.labels" -}}
{{ include "carillon.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "carillon.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "carillon.serviceAccount" -}}
{{ .Values.serviceAccount.name | default (include "carillon.fullname" .) }}
{{- end -}}

{{/* Of (dict "root" $ "service" name): the Secret of a service. */}}
{{- define "carillon.secret" -}}
{{- $given := (index .root.Values.secrets .service).existingSecret -}}
{{- $given | default (printf "%s-%s" (include "carillon.fullname" .root) .service) -}}
{{- end -}}

{{/* Of (dict "root" $ "name" component): where its certificate is. */}}
{{- define "carillon.tlsSecret" -}}
{{ include "carillon.fullname" .root }}-{{ .name }}-tls
{{- end -}}

{{- define "carillon.publicUrl" -}}
{{ .Values.publicUrl | default "http://localhost:8080" }}
{{- end -}}

{{- define "carillon.host" -}}
{{ (urlParse (include "carillon.publicUrl" .)).hostname }}
{{- end -}}

{{/* A number as people write it: Helm holds 1073741824 as a float and would print 1.073741824e+09. */}}
{{- define "carillon.plain" -}}
{{- if kindIs "float64" . -}}
{{- if eq (floor .) . -}}{{ int64 . }}{{- else -}}{{ . }}{{- end -}}
{{- else -}}{{ . }}{{- end -}}
{{- end -}}
