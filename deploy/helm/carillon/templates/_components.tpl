{{/*
The processes: what is true of each whatever the values say.
  service, command  `carillon SERVICE COMMAND`; serve logs in to the database as the role serve, work as work
  listens           the port that others connect to
  nats              whether it connects to NATS
  calls             the services that it calls over gRPC: its targets, and the ways that the NetworkPolicies leave open
  secrets           what it reads of its service's Secret besides the database, the token's key and NATS
  publicUrl         whether it says to others where we are
  providers         whether it connects to the Internet: to the senders' providers, to webhooks
*/}}
{{- define "carillon.components" -}}
gateway:
  service: gateway
  command: serve
  listens: http
  calls: [contacts, segments, campaigns]
  secrets: [secrets-keys]
  publicUrl: true
gateway-work:
  {service: gateway, command: work, nats: true, secrets: [secrets-keys], providers: true}
contacts:
  {service: contacts, command: serve, listens: grpc, nats: true, secrets: [erasure-key]}
contacts-work:
  service: contacts
  command: work
  nats: true
  calls: [segments, campaigns]
  secrets: [erasure-key]
segments:
  {service: segments, command: serve, listens: grpc, nats: true}
segments-work:
  {service: segments, command: work, nats: true, calls: [contacts]}
campaigns:
  service: campaigns
  command: serve
  listens: grpc
  nats: true
  calls: [contacts, segments]
  secrets: [secrets-keys]
  publicUrl: true
campaigns-work:
  service: campaigns
  command: work
  nats: true
  calls: [contacts, segments]
  secrets: [secrets-keys]
  publicUrl: true
  providers: true
{{- end -}}

{{- define "carillon.ports" -}}
{http: 8080, grpc: 7000, ops: 9000}
{{- end -}}

{{- define "carillon.services" -}}
{services: [contacts, segments, campaigns, gateway]}
{{- end -}}

{{/* The consumers of a component, whose events KEDA counts; space separated. Of (dict "root" $ "facts" …). */}}
{{- define "carillon.durables" -}}
{{- if eq .facts.command "work" -}}
{{- (index (.root.Files.Get "files/nats-users.json" | fromJson) .facts.service).durables | join " " -}}
{{- end -}}
{{- end -}}

{{/* Refuses what the schema cannot say, or would say in words that nobody understands. Of the root. */}}
{{- define "carillon.check" -}}
{{- if not .Values.dev.enabled -}}
{{- range $service, $secret := .Values.secrets -}}
{{- if not $secret.existingSecret -}}
{{- fail (printf "secrets.%s.existingSecret is missing: name the Secret of %s (README.md says what it holds), or set dev.enabled=true to try things out" $service $service) -}}
{{- end -}}
{{- if not (index $.Values.tokenPublicKeys $service) -}}
{{- fail (printf "tokenPublicKeys.%s is missing: the base64 of that service's Ed25519 public key" $service) -}}
{{- end -}}
{{- end -}}
{{- if not .Values.publicUrl -}}
{{- fail "publicUrl is missing: where clients and providers reach the gateway, such as https://api.example.com" -}}
{{- end -}}
{{- end -}}
{{- if and (eq .Values.image.tag "latest") (not .Values.image.digest) -}}
{{- fail "image.tag: latest moves, and a release that moves under its name is never migrated: name a version, or image.digest" -}}
{{- end -}}
{{- $facts := include "carillon.components" . | fromYaml -}}
{{- range $name, $component := .Values.components -}}
{{- $scaling := mergeOverwrite (deepCopy $.Values.defaults.autoscaling) ($component.autoscaling | default dict) -}}
{{- if gt (int $scaling.min) (int $scaling.max) -}}
{{- fail (printf "components.%s.autoscaling: min %d is more than max %d" $name (int $scaling.min) (int $scaling.max)) -}}
{{- end -}}
{{- if and (eq $scaling.kind "keda") (include "carillon.durables" (dict "root" $ "facts" (index $facts $name))) (not $.Values.nats.monitoringEndpoint) -}}
{{- fail (printf "components.%s.autoscaling.kind is keda: nats.monitoringEndpoint is missing, where KEDA reads how many events wait" $name) -}}
{{- end -}}
{{- end -}}
{{- $sender := mergeOverwrite (deepCopy .Values.defaults) (index .Values.components "campaigns-work") -}}
{{- $call := $sender.settings.provider_timeout_seconds | default 10 -}}
{{- if ge (float64 $call) (float64 $sender.graceSeconds) -}}
{{- fail (printf "components.campaigns-work.graceSeconds: %v is not more than provider_timeout_seconds, %v: a stop would break off calls to providers, and nobody would know what became of them" $sender.graceSeconds $call) -}}
{{- end -}}
{{- range $name, $ca := dict "database.ca" .Values.database.ca "nats.ca" .Values.nats.ca -}}
{{- if and $ca.configMap $ca.secret -}}
{{- fail (printf "%s: the certificate is either in the ConfigMap %s or in the Secret %s: name one" $name $ca.configMap $ca.secret) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.dev.enabled (gt (int .Values.nats.streamReplicas) 1) -}}
{{- fail (printf "nats.streamReplicas: dev.enabled brings one NATS server, which cannot store everything %v times" .Values.nats.streamReplicas) -}}
{{- end -}}
{{- if and .Values.tls.enabled (ge (trimSuffix "h" .Values.tls.renewBefore | int) (trimSuffix "h" .Values.tls.duration | int)) -}}
{{- fail (printf "tls.renewBefore: %s before the end of a certificate that is good for %s (tls.duration) is before its beginning" .Values.tls.renewBefore .Values.tls.duration) -}}
{{- end -}}
{{- if and .Values.tls.enabled .Values.tls.issuerRef.name .Values.prometheusRules.enabled (lt (trimSuffix "h" .Values.tls.renewBefore | int) 168) (not (has "CarillonCertificateExpiring" .Values.prometheusRules.disabled)) -}}
{{- fail (printf "tls.renewBefore: %s is within the week before the end in which CarillonCertificateExpiring fires: renew earlier, or name the alert in prometheusRules.disabled" .Values.tls.renewBefore) -}}
{{- end -}}
{{- if and (or .Values.backup.enabled .Values.restore.backup) (not .Values.backup.existingClaim) -}}
{{- fail "backup.existingClaim is missing: the PersistentVolumeClaim that backups are put on and restored from" -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) -}}
{{- fail "httpRoute.parentRefs is missing: the Gateway that the route belongs to" -}}
{{- end -}}
{{- end -}}
