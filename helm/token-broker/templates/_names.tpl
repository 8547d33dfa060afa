{{- define "token-broker.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" (.Release.Name | trunc 36 | trimSuffix "-") .Chart.Name -}}
{{- end -}}
{{- end -}}

{{- define "token-broker.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (ternary (include "token-broker.fullname" .) "default" .Values.serviceAccount.create) -}}
{{- end -}}

{{- define "token-broker.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository ($image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* What finds the pods of this release. */}}
{{- define "token-broker.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "token-broker.labels" -}}
{{ include "token-broker.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{/* The component whose pods have the public listener. */}}
{{- define "token-broker.publicComponent" -}}
{{- ternary "public" "broker" .Values.public.separate -}}
{{- end -}}

{{/* Without scheme, port and slash. */}}
{{- define "token-broker.publicHost" -}}
{{- (urlParse .Values.public.url).hostname -}}
{{- end -}}
