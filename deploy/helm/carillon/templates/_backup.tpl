{{/* Not empty while databases are taken up that were restored: nothing else runs. Of the root. */}}
{{- define "carillon.restoring" -}}
{{ .Values.restore.backup }}{{ .Values.restore.at }}
{{- end -}}

{{/* How files/databases.sh finds the databases, each as its owner. Of the root. */}}
{{- define "carillon.backup.env" -}}
{{- $root := . -}}
{{- range $service := (include "carillon.services" . | fromYaml).services }}
- name: CARILLON_{{ upper $service }}_DATABASE_URL
  {{ include "carillon.fromSecret" (dict "root" $root "service" $service "key" "database-owner-url") }}
{{- end }}
{{- include "carillon.tlsEnv" . }}
{{- end -}}

{{/* Of the root: a container of backup.image, which has Postgres' programs. */}}
{{- define "carillon.backup.container" -}}
image: {{ .Values.backup.image | quote }}
securityContext: {{- include "carillon.restricted" . | nindent 2 }}
env: {{- include "carillon.backup.env" . | trim | nindent 2 }}
resources: {{- toYaml .Values.backup.resources | nindent 2 }}
volumeMounts:
  {{- include "carillon.mounts" (dict "root" .) | nindent 2 }}
  - {name: scripts, mountPath: /scripts, readOnly: true}
  - {name: backups, mountPath: /backups}
{{- end -}}

{{- define "carillon.backup.volumes" -}}
{{ include "carillon.volumes" (dict "root" . "tmp" "64Mi") }}
- {name: scripts, configMap: {name: {{ include "carillon.fullname" . }}-backup}}
- {name: backups, persistentVolumeClaim: {claimName: {{ .Values.backup.existingClaim }}}}
{{- end -}}

{{/* What the Job of a restore does. Of the root. */}}
{{- define "carillon.restore" -}}
{{- $root := . -}}
{{- $folder := printf "/backups/%s" .Values.restore.backup -}}
backoffLimit: {{ .Values.migrations.backoffLimit }}
template:
  metadata:
    labels: {{- include "carillon.selector" (dict "root" . "component" "backup") | nindent 6 }}
  spec:
    {{- include "carillon.pod" . | nindent 4 }}
    restartPolicy: OnFailure
    {{- if .Values.restore.backup }}
    initContainers:
      - name: restore
        {{- include "carillon.backup.container" . | nindent 8 }}
        command: [bash, /scripts/restore.sh, {{ $folder }}]
    {{- end }}
    containers:
      {{- range $service := (include "carillon.services" . | fromYaml).services }}
      - name: {{ $service }}
        {{- include "carillon.container" $root | nindent 8 }}
        command: [sh, -ec]
        args:
          - |
            carillon {{ $service }} migrate
            {{- if ne $service "campaigns" }}
            carillon {{ $service }} after-restore
            {{- else if $root.Values.restore.at }}
            carillon {{ $service }} after-restore --at {{ $root.Values.restore.at }}
            {{- else }}
            carillon {{ $service }} after-restore --at "$(sed -n 's/^moment=//p' {{ $folder }}/backup.txt)"
            {{- end }}
        env:
          {{- include "carillon.databaseEnv" (dict "root" $root "service" $service "role" "owner") | nindent 10 }}
          - {name: CARILLON_LOG_LEVEL, value: {{ $root.Values.settings.log_level }}}
        resources: {{- toYaml $root.Values.migrations.resources | nindent 10 }}
        volumeMounts:
          {{- include "carillon.mounts" (dict "root" $root) | nindent 10 }}
          {{- if $root.Values.restore.backup }}
          - {name: backups, mountPath: /backups, readOnly: true}
          {{- end }}
      {{- end }}
    volumes:
      {{- if .Values.restore.backup }}
      {{- include "carillon.backup.volumes" . | nindent 6 }}
      {{- else }}
      {{- include "carillon.volumes" (dict "root" . "tmp" "64Mi") | nindent 6 }}
      {{- end }}
{{- end -}}
