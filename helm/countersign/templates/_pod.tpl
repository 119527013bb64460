{{/* What pods are made of. */}}

{{/* A volume from {existingSecret, existingConfigMap}, read by the group alone. {name, source} */}}
{{- define "countersign.volume" -}}
- name: {{ .name }}
  {{- if .source.existingSecret }}
  secret:
    secretName: {{ .source.existingSecret }}
    defaultMode: 288 # 0440
  {{- else }}
  configMap:
    name: {{ .source.existingConfigMap }}
    defaultMode: 288 # 0440
  {{- end }}
{{- end }}

{{- define "countersign.mount" -}}
- name: {{ . }}
  mountPath: /etc/countersign/{{ . }}
  readOnly: true
{{- end }}

{{/* Whether a database's Secret is needed: for the URL, or for the password. */}}
{{- define "countersign.needsSecret" -}}
{{- if or (not .url) .passwordKey }}true{{ end }}
{{- end }}

{{/* The volumes with which the migrating role connects. */}}
{{- define "countersign.migrate.volumes" -}}
{{- if include "countersign.needsSecret" .Values.migrations }}
{{ include "countersign.volume" (dict "name" "migrate" "source" .Values.migrations) }}
{{- end }}
{{- if include "countersign.hasSource" .Values.database.ca }}
{{ include "countersign.volume" (dict "name" "database-ca" "source" .Values.database.ca) }}
{{- end }}
{{- if .Values.migrations.clientCertificate.existingSecret }}
{{ include "countersign.volume" (dict "name" "migrate-certificate" "source" .Values.migrations.clientCertificate) }}
{{- end }}
{{- end }}

{{/* The container that migrates. */}}
{{- define "countersign.migrate.container" -}}
{{- $migrations := .Values.migrations }}
name: migrate
image: {{ include "countersign.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args:
  - migrate
  - --serving-role
  - {{ $migrations.servingRole | quote }}
  {{- if not $migrations.url }}
  - --database-url-file
  - /etc/countersign/migrate/{{ $migrations.urlKey }}
  {{- end }}
  {{- with $migrations.passwordKey }}
  - --database-password-file
  - /etc/countersign/migrate/{{ . }}
  {{- end }}
  {{- if include "countersign.hasSource" .Values.database.ca }}
  - --database-ca-file
  - /etc/countersign/database-ca/{{ .Values.database.ca.key }}
  {{- end }}
  {{- if $migrations.clientCertificate.existingSecret }}
  - --database-certificate-file
  - /etc/countersign/migrate-certificate/tls.crt
  - --database-key-file
  - /etc/countersign/migrate-certificate/tls.key
  {{- end }}
{{- $env := list }}
{{- with $migrations.url }}
{{- $env = append $env (dict "name" "COUNTERSIGN_DATABASE_URL" "value" .) }}
{{- end }}
{{- with concat $env .Values.extraEnv }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
resources:
  {{- toYaml $migrations.resources | nindent 2 }}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
{{- $mounts := list }}
{{- if include "countersign.needsSecret" $migrations }}{{ $mounts = append $mounts "migrate" }}{{ end }}
{{- if include "countersign.hasSource" .Values.database.ca }}{{ $mounts = append $mounts "database-ca" }}{{ end }}
{{- if $migrations.clientCertificate.existingSecret }}{{ $mounts = append $mounts "migrate-certificate" }}{{ end }}
{{- with $mounts }}
volumeMounts:
  {{- range . }}
  {{- include "countersign.mount" . | nindent 2 }}
  {{- end }}
{{- end }}
{{- end }}

{{/* What every pod of the chart has in common. */}}
{{- define "countersign.podBase" -}}
automountServiceAccountToken: false
# Or a Service named countersign would set variables that read like settings.
enableServiceLinks: false
securityContext:
  {{- toYaml .Values.podSecurityContext | nindent 2 }}
{{- with .Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with .Values.schedulerName }}
schedulerName: {{ . }}
{{- end }}
{{- with .Values.hostAliases }}
hostAliases:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.dnsPolicy }}
dnsPolicy: {{ . }}
{{- end }}
{{- with .Values.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The mounts of the server. */}}
{{- define "countersign.server.mounts" -}}
{{- $mounts := list "config" "keys" }}
{{- if include "countersign.needsSecret" .Values.database }}{{ $mounts = append $mounts "database" }}{{ end }}
{{- if include "countersign.hasSource" .Values.database.ca }}{{ $mounts = append $mounts "database-ca" }}{{ end }}
{{- if .Values.database.clientCertificate.existingSecret }}{{ $mounts = append $mounts "database-certificate" }}{{ end }}
{{- if include "countersign.tlsSecret" . }}{{ $mounts = append $mounts "tls" }}{{ end }}
{{- if include "countersign.mountsClientCa" . }}{{ $mounts = append $mounts "client-ca" }}{{ end }}
{{- range $mounts }}
{{ include "countersign.mount" . }}
{{- end }}
{{- if eq .Values.tls.mode "spiffe" }}
- name: spiffe
  mountPath: /run/spiffe
  readOnly: true
{{- end }}
{{- end }}

{{/* Whether callers' authorities come from elsewhere than the server's own Secret. */}}
{{- define "countersign.mountsClientCa" -}}
{{- if and (include "countersign.tlsSecret" .) (ne .Values.tls.clientCertificates "off") (include "countersign.hasSource" .Values.tls.clientCa) }}true{{ end }}
{{- end }}

{{/* The volumes of the server's pod. */}}
{{- define "countersign.server.volumes" -}}
- name: config
  configMap:
    name: {{ include "countersign.fullname" . }}
    defaultMode: 288 # 0440
{{ include "countersign.volume" (dict "name" "keys" "source" .Values.keys) }}
{{- if include "countersign.needsSecret" .Values.database }}
{{ include "countersign.volume" (dict "name" "database" "source" .Values.database) }}
{{- end }}
{{- if eq .Values.migrations.mode "initContainer" }}
{{- include "countersign.migrate.volumes" . }}
{{- else if include "countersign.hasSource" .Values.database.ca }}
{{ include "countersign.volume" (dict "name" "database-ca" "source" .Values.database.ca) }}
{{- end }}
{{- if .Values.database.clientCertificate.existingSecret }}
{{ include "countersign.volume" (dict "name" "database-certificate" "source" .Values.database.clientCertificate) }}
{{- end }}
{{- with include "countersign.tlsSecret" . }}
{{ include "countersign.volume" (dict "name" "tls" "source" (dict "existingSecret" .)) }}
{{- end }}
{{- if include "countersign.mountsClientCa" . }}
{{ include "countersign.volume" (dict "name" "client-ca" "source" .Values.tls.clientCa) }}
{{- end }}
{{- if eq .Values.tls.mode "spiffe" }}
- name: spiffe
  csi:
    driver: {{ .Values.tls.spiffe.driver }}
    readOnly: true
{{- end }}
{{- end }}
