{{/* The configuration file: the settings of the values, and what the chart decides. */}}

{{/* The settings that the chart decides, as YAML. */}}
{{- define "countersign.ownSettings" -}}
{{- $values := .Values }}
listen: {{ printf "%s:7300" $values.bindAddress | quote }}
health:
  listen: {{ printf "%s:7301" $values.bindAddress | quote }}
{{- if $values.metrics.enabled }}
metrics:
  listen: {{ printf "%s:%d" $values.bindAddress (int $values.metrics.port) | quote }}
{{- end }}
keys:
  file: {{ printf "/etc/countersign/keys/%s" $values.keys.key | quote }}
database:
  {{- if $values.database.url }}
  url: {{ $values.database.url | quote }}
  {{- else }}
  url_file: {{ printf "/etc/countersign/database/%s" $values.database.urlKey | quote }}
  {{- end }}
  {{- with $values.database.passwordKey }}
  password_file: {{ printf "/etc/countersign/database/%s" . | quote }}
  {{- end }}
  {{- if include "countersign.hasSource" $values.database.ca }}
  ca_file: {{ printf "/etc/countersign/database-ca/%s" $values.database.ca.key | quote }}
  {{- end }}
  {{- if $values.database.clientCertificate.existingSecret }}
  certificate_file: /etc/countersign/database-certificate/tls.crt
  key_file: /etc/countersign/database-certificate/tls.key
  {{- end }}
shutdown:
  pause: {{ $values.shutdown.pauseSeconds }}s
  drain: {{ $values.shutdown.drainSeconds }}s
{{- if include "countersign.hasTls" . }}
tls:
  min_version: {{ $values.tls.minVersion | quote }}
  client_certificates: {{ $values.tls.clientCertificates | quote }}
  {{- with $values.tls.trustDomain }}
  trust_domain: {{ . | quote }}
  {{- end }}
  {{- if eq $values.tls.mode "spiffe" }}
  workload_api: {{ printf "unix:///run/spiffe/%s" $values.tls.spiffe.socket | quote }}
  {{- else }}
  certificate_file: /etc/countersign/tls/tls.crt
  key_file: /etc/countersign/tls/tls.key
  {{- if ne $values.tls.clientCertificates "off" }}
  {{- if include "countersign.hasSource" $values.tls.clientCa }}
  client_ca_file: {{ printf "/etc/countersign/client-ca/%s" $values.tls.clientCa.key | quote }}
  {{- else }}
  client_ca_file: /etc/countersign/tls/ca.crt
  {{- end }}
  {{- end }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Whether {existingSecret, existingConfigMap} names one. */}}
{{- define "countersign.hasSource" -}}
{{- if or .existingSecret .existingConfigMap }}true{{ end }}
{{- end }}

{{/* countersign.toml. JSON's texts, numbers, booleans and lists are TOML's. */}}
{{- define "countersign.config" -}}
{{- $own := fromYaml (include "countersign.ownSettings" .) }}
{{- if $own.Error }}{{ fail $own.Error }}{{ end }}
{{- $settings := mergeOverwrite (deepCopy .Values.settings) $own }}
{{- range $key, $value := $settings }}
{{- if not (kindIs "map" $value) }}
{{- printf "%s = %s\n" $key (toJson $value) }}
{{- end }}
{{- end }}
{{- range $section, $keys := $settings }}
{{- if kindIs "map" $keys }}
{{- printf "\n[%s]\n" $section }}
{{- range $key, $value := $keys }}
{{- printf "%s = %s\n" $key (toJson $value) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The ports of a database's URL, as a list in YAML. */}}
{{- define "countersign.urlPorts" -}}
{{- $ports := list }}
{{- if hasPrefix "postgres" . }}
{{- $hosts := regexReplaceAll "^[a-z]+://([^/@]*@)?([^/?]*).*$" . "${2}" }}
{{- range splitList "," $hosts }}
{{- $ports = append $ports (int (default "5432" (trimPrefix ":" (regexFind ":[0-9]+$" .)))) }}
{{- end }}
{{- else if . }}
{{- range splitList "," (default "5432" (trimPrefix "port=" (regexFind "port=[0-9,]+" .))) }}
{{- $ports = append $ports (int .) }}
{{- end }}
{{- else }}
{{- $ports = list 5432 }}
{{- end }}
{{- toYaml (uniq $ports) }}
{{- end }}

{{/* The port of the collector, or nothing. */}}
{{- define "countersign.otlpPort" -}}
{{- with (.Values.settings.telemetry | default dict).endpoint }}
{{- $authority := regexReplaceAll "^[a-z]+://([^/?]*).*$" . "${1}" }}
{{- default (ternary "443" "80" (hasPrefix "https:" .)) (trimPrefix ":" (regexFind ":[0-9]+$" $authority)) }}
{{- end }}
{{- end }}
