{{/* Pods by their labels, in a namespace by its name or in those with a label; one peer, so that both have to hold. */}}
{{- define "token-broker.peer" -}}
- namespaceSelector:
    matchLabels:
      {{ .label | default "kubernetes.io/metadata.name" }}: {{ .value | default .namespace | quote }}
  {{- with .podLabels }}
  podSelector:
    matchLabels:
      {{- toYaml . | nindent 6 }}
  {{- end }}
{{- end -}}

{{- define "token-broker.toDns" -}}
- to:
    {{- include "token-broker.peer" .Values.networkPolicy.dns | nindent 4 }}
  ports:
    - { protocol: UDP, port: 53 }
    - { protocol: TCP, port: 53 }
{{- end -}}

{{- define "token-broker.toDnsAndDatabase" -}}
{{ include "token-broker.toDns" . }}
- ports:
    {{- range .Values.networkPolicy.database.ports }}
    - { protocol: TCP, port: {{ int64 . }} }
    {{- end }}
  {{- with .Values.networkPolicy.database.to }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
