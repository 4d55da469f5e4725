{{/* What every pod has, whoever it is. Of the root. */}}
{{- define "carillon.pod" -}}
serviceAccountName: {{ include "carillon.serviceAccount" . }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext: {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The restricted Pod Security Standard, and a root file system that nobody writes. */}}
{{- define "carillon.restricted" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- define "carillon.container" -}}
image: {{ include "carillon.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext: {{- include "carillon.restricted" . | nindent 2 }}
{{- end -}}

{{/* Of (dict "root" $ "service" name "key" key): one value of a service's Secret. */}}
{{- define "carillon.fromSecret" -}}
valueFrom: {secretKeyRef: {name: {{ include "carillon.secret" . }}, key: {{ .key }}}}
{{- end -}}

{{/* How a database is reached, for every pod that reaches one. Of (dict "root" $ "service" name "role" role). */}}
{{- define "carillon.databaseEnv" -}}
- name: CARILLON_DATABASE_URL
  {{ include "carillon.fromSecret" (dict "root" .root "service" .service "key" (printf "database-%s-url" .role)) }}
{{- include "carillon.tlsEnv" .root }}
{{- end -}}

{{/* What libpq and asyncpg should know of every database. Of the root. */}}
{{- define "carillon.tlsEnv" -}}
{{- with .Values.database }}
{{- if .sslMode }}
- {name: PGSSLMODE, value: {{ .sslMode }}}
{{- end }}
{{- if or .ca.configMap .ca.secret }}
- {name: PGSSLROOTCERT, value: {{ printf "/etc/carillon/database/%s" .ca.key | quote }}}
{{- end }}
{{- end }}
{{- end -}}

{{/* Of (dict "root" $ "name" component "facts" … "values" …). */}}
{{- define "carillon.env" -}}
{{- $root := .root -}}
{{- $facts := .facts -}}
{{- $ports := include "carillon.ports" $root | fromYaml -}}
{{- $service := $facts.service -}}
{{ include "carillon.databaseEnv" (dict "root" $root "service" $service "role" $facts.command) }}
{{- range $key := concat (ternary (list "nats-url") list ($facts.nats | default false)) (list "token-private-key") ($facts.secrets | default list) }}
- name: CARILLON_{{ $key | replace "-" "_" | upper }}
  {{ include "carillon.fromSecret" (dict "root" $root "service" $service "key" $key) }}
{{- end }}
- name: CARILLON_TOKEN_PUBLIC_KEYS
  valueFrom: {configMapKeyRef: {name: {{ include "carillon.fullname" $root }}-tokens, key: public-keys}}
- {name: CARILLON_OPS_BIND, value: {{ printf "%s:%v" $root.Values.bindAddress $ports.ops | quote }}}
{{- with $facts.listens }}
- {name: CARILLON_{{ upper . }}_BIND, value: {{ printf "%s:%v" $root.Values.bindAddress (index $ports .) | quote }}}
{{- end }}
{{- range $facts.calls }}
- name: CARILLON_{{ upper . }}_TARGET
  value: {{ printf "dns:///%s-%s.%s.svc.%s:%v" (include "carillon.fullname" $root) . $root.Release.Namespace $root.Values.clusterDomain $ports.grpc }}
{{- end }}
{{- if $facts.nats }}
- {name: CARILLON_STREAM_REPLICAS, value: {{ $root.Values.nats.streamReplicas | quote }}}
{{- end }}
{{- if $facts.publicUrl }}
- {name: CARILLON_PUBLIC_URL, value: {{ include "carillon.publicUrl" $root | quote }}}
{{- end }}
- {name: CARILLON_DRAIN_SECONDS, value: {{ include "carillon.drain" . | quote }}}
- {name: CARILLON_GRACE_SECONDS, value: {{ .values.graceSeconds | quote }}}
{{- if $root.Values.tls.enabled }}
- {name: CARILLON_TLS_CERT, value: /etc/carillon/tls/tls.crt}
- {name: CARILLON_TLS_KEY, value: /etc/carillon/tls/tls.key}
- {name: CARILLON_TLS_CA, value: /etc/carillon/tls/ca.crt}
{{- end }}
{{- if and $facts.nats (include "carillon.natsCa" $root) }}
- {name: CARILLON_NATS_CA, value: {{ printf "/etc/carillon/nats/%s" $root.Values.nats.ca.key | quote }}}
{{- end }}
{{- range $key, $value := merge (dict) $root.Values.settings .values.settings }}
- {name: CARILLON_{{ upper $key }}, value: {{ include "carillon.plain" $value | quote }}}
{{- end }}
{{- include "carillon.otlpEnv" $root }}
{{- with $root.Values.trustBundle }}
{{- if .configMap }}
- {name: SSL_CERT_FILE, value: {{ printf "/etc/carillon/trust/%s" .key | quote }}}
{{- end }}
{{- end }}
{{- end -}}

{{- define "carillon.otlpEnv" -}}
{{- with .Values.otlp }}
{{- if .endpoint }}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ .endpoint | quote }}}
- {name: OTEL_TRACES_SAMPLER, value: {{ .sampler | quote }}}
- {name: OTEL_TRACES_SAMPLER_ARG, value: {{ include "carillon.plain" .samplerArg | quote }}}
- {name: OTEL_RESOURCE_ATTRIBUTES, value: {{ printf "k8s.namespace.name=%s,k8s.pod.name=$(POD_NAME)" $.Release.Namespace | quote }}}
{{- if .headersSecret }}
- name: OTEL_EXPORTER_OTLP_HEADERS
  valueFrom: {secretKeyRef: {name: {{ .headersSecret }}, key: headers}}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Nobody sends to a worker: it stops at once. */}}
{{- define "carillon.drain" -}}
{{- if .facts.listens }}{{ .values.drainSeconds }}{{ else }}0{{ end -}}
{{- end -}}

{{- define "carillon.natsCa" -}}
{{- .Values.nats.ca.configMap | default .Values.nats.ca.secret -}}
{{- end -}}

{{/* Of the main container of a component, besides the others. Of (dict "root" $ "name" component "facts" …). */}}
{{- define "carillon.ownMounts" -}}
{{- if .root.Values.tls.enabled }}
- {name: tls, mountPath: /etc/carillon/tls, readOnly: true}
{{- end }}
{{- if and .facts.nats (include "carillon.natsCa" .root) }}
- {name: nats-ca, mountPath: /etc/carillon/nats, readOnly: true}
{{- end }}
{{- end -}}

{{- define "carillon.ownVolumes" -}}
{{- if .root.Values.tls.enabled }}
- {name: tls, secret: {secretName: {{ include "carillon.tlsSecret" . }}}}
{{- end }}
{{- with .root.Values.nats.ca }}
{{- if not $.facts.nats }}
{{- else if .configMap }}
- {name: nats-ca, configMap: {name: {{ .configMap }}}}
{{- else if .secret }}
- {name: nats-ca, secret: {secretName: {{ .secret }}, items: [{key: {{ .key }}, path: {{ .key }}}]}}
{{- end }}
{{- end }}
{{- end -}}

{{/* Of (dict "root" $ "tmp" size or nothing "trust" bool): mounts and volumes go together. */}}
{{- define "carillon.mounts" -}}
- {name: tmp, mountPath: /tmp}
{{- if or .root.Values.database.ca.configMap .root.Values.database.ca.secret }}
- {name: database-ca, mountPath: /etc/carillon/database, readOnly: true}
{{- end }}
{{- if .root.Values.trustBundle.configMap }}
- {name: trust, mountPath: /etc/carillon/trust, readOnly: true}
{{- end }}
{{- end -}}

{{- define "carillon.volumes" -}}
- {name: tmp, emptyDir: {sizeLimit: {{ .tmp }}}}
{{- with .root.Values.database.ca }}
{{- if .configMap }}
- {name: database-ca, configMap: {name: {{ .configMap }}}}
{{- else if .secret }}
- {name: database-ca, secret: {secretName: {{ .secret }}, items: [{key: {{ .key }}, path: {{ .key }}}]}}
{{- end }}
{{- end }}
{{- with .root.Values.trustBundle.configMap }}
- {name: trust, configMap: {name: {{ . }}}}
{{- end }}
{{- end -}}
