{{/* Names, labels and what every object has. */}}

{{- define "countersign.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* 40 characters, so that the longest name made of it, the Job's, stays within 63. */}}
{{- define "countersign.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "countersign.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "countersign.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "countersign.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride }}
{{- end }}

{{/* Labels that never change: a selector is immutable. {root, component} */}}
{{- define "countersign.selectorLabels" -}}
app.kubernetes.io/name: {{ include "countersign.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* The labels of an object. {root, component, labels} */}}
{{- define "countersign.labels" -}}
{{- $own := fromYaml (include "countersign.selectorLabels" .) }}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" .root.Chart.Name (.root.Chart.Version | replace "+" "_")) }}
{{- $_ := set $own "app.kubernetes.io/version" (.root.Chart.AppVersion | toString) }}
{{- $_ := set $own "app.kubernetes.io/managed-by" .root.Release.Service }}
{{- $_ := set $own "app.kubernetes.io/part-of" .root.Chart.Name }}
{{- toYaml (mergeOverwrite (deepCopy .root.Values.commonLabels) (deepCopy (.labels | default dict)) $own) }}
{{- end }}

{{/* The labels of a pod: no version, so that only what matters makes a new one. {root, component, labels} */}}
{{- define "countersign.podLabels" -}}
{{- $own := fromYaml (include "countersign.selectorLabels" .) }}
{{- toYaml (mergeOverwrite (deepCopy .root.Values.commonLabels) (deepCopy (.labels | default dict)) $own) }}
{{- end }}

{{/* The metadata of an object. {root, component, name, labels, annotations} */}}
{{- define "countersign.metadata" -}}
name: {{ .name }}
namespace: {{ include "countersign.namespace" .root }}
labels:
  {{- include "countersign.labels" . | nindent 2 }}
{{- with mergeOverwrite (deepCopy .root.Values.commonAnnotations) (deepCopy (.annotations | default dict)) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "countersign.serviceAccountName" -}}
{{- $account := .Values.serviceAccount }}
{{- default (ternary (include "countersign.fullname" .) "default" $account.create) $account.name }}
{{- end }}

{{- define "countersign.migrate.serviceAccountName" -}}
{{- $account := .Values.migrations.serviceAccount }}
{{- default (ternary (printf "%s-migrate" (include "countersign.fullname" .)) "default" $account.create) $account.name }}
{{- end }}

{{- define "countersign.image" -}}
{{- $image := .Values.image }}
{{- $name := $image.repository }}
{{- if $image.registry }}{{ $name = printf "%s/%s" $image.registry $name }}{{ end }}
{{- if $image.digest }}
{{- printf "%s@%s" $name $image.digest }}
{{- else }}
{{- printf "%s:%s" $name (default .Chart.AppVersion $image.tag) }}
{{- end }}
{{- end }}

{{- define "countersign.schemaVersion" -}}
{{- index .Chart.Annotations "countersign/schema-version" }}
{{- end }}

{{- define "countersign.hasTls" -}}
{{- if ne .Values.tls.mode "none" }}true{{ end }}
{{- end }}

{{/* The Secret with the server's certificate, where there is one. */}}
{{- define "countersign.tlsSecret" -}}
{{- if eq .Values.tls.mode "secret" }}
{{- .Values.tls.existingSecret }}
{{- else if eq .Values.tls.mode "certManager" }}
{{- printf "%s-tls" (include "countersign.fullname" .) }}
{{- end }}
{{- end }}

{{/* Where callers find the servers. */}}
{{- define "countersign.target" -}}
{{- $scheme := ternary "https" "http" (ne .Values.tls.mode "none") }}
{{- printf "%s://%s.%s.svc:%d" $scheme (include "countersign.fullname" .) (include "countersign.namespace" .) (int .Values.service.port) }}
{{- end }}
