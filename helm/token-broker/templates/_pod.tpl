{{/* What Kubernetes calls restricted, for a pod and for its container. */}}
{{- define "token-broker.podSecurity" -}}
runAsNonRoot: true
{{- with .Values.security }}
{{- range $name := list "runAsUser" "runAsGroup" "fsGroup" }}
{{- $number := index $.Values.security $name }}
{{- if not (kindIs "invalid" $number) }}
{{ $name }}: {{ int64 $number }}
{{- end }}
{{- end }}
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "token-broker.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* The Secret's keys as files, each by its setting's name; they follow the Secret as it changes. */}}
{{- define "token-broker.volumes" -}}
{{- $values := .root.Values -}}
{{- $component := .component -}}
- name: secrets
  projected:
    defaultMode: 288 # 0440
    sources:
      {{- range $name, $place := $values.secrets.settings }}
      {{- if not (include "token-broker.isWithheld" (dict "component" $component "name" $name)) }}
      - secret:
          name: {{ $place.secret | default $values.secrets.name }}
          items:
            - key: {{ $place.key | default $name }}
              path: {{ $name }}
      {{- end }}
      {{- end }}
{{- $sources := include "token-broker.fileSources" . }}
{{- if $sources }}
- name: files
  projected:
    defaultMode: 288 # 0440
    sources:
      {{- $sources | trim | nindent 6 }}
{{- end }}
{{- if and (eq $values.internal.tls.mode "cert") (eq $component "broker") }}
- name: tls
  secret:
    secretName: {{ $values.internal.tls.secret }}
    defaultMode: 288 # 0440
{{- end }}
{{- with $values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "token-broker.fileSources" -}}
{{- $root := .root -}}
{{- $component := .component -}}
{{- $fileNames := include "token-broker.fileNames" $root | fromYaml -}}
{{- range $name, $file := $root.Values.files }}
{{- $known := index $fileNames $name }}
{{- if and $file (not (include "token-broker.isWithheld" (dict "component" $component "name" $known.variable))) }}
- {{ ternary "secret" "configMap" (hasKey $file "secret") }}:
    name: {{ $file.secret | default $file.configMap | default (printf "%s-files" (include "token-broker.fullname" $root)) }}
    items:
      - key: {{ $file.key | default $known.path }}
        path: {{ $known.path }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "token-broker.volumeMounts" -}}
{{- $values := .root.Values -}}
- name: secrets
  mountPath: /etc/token-broker/secrets
  readOnly: true
{{- if include "token-broker.fileSources" . }}
- name: files
  mountPath: /etc/token-broker/files
  readOnly: true
{{- end }}
{{- if and (eq $values.internal.tls.mode "cert") (eq .component "broker") }}
- name: tls
  mountPath: /etc/token-broker/tls
  readOnly: true
{{- end }}
{{- with $values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "token-broker.ports" -}}
{{- if eq .component "broker" }}
- { name: internal, containerPort: 8080 }
{{- end }}
{{- if eq .component (include "token-broker.publicComponent" .root) }}
- { name: public, containerPort: 8081 }
{{- end }}
- { name: ops, containerPort: 9090 }
{{- end -}}

{{/* Zones first, then nodes; counted for each release of the pods alone, or an update would be spread around the old ones. */}}
{{- define "token-broker.spread" -}}
{{- $component := .component -}}
{{- $root := .root -}}
{{- $spread := $root.Values.topologySpread -}}
{{- range $key, $unsatisfiable := dict "topology.kubernetes.io/zone" $spread.zones "kubernetes.io/hostname" $spread.nodes }}
- topologyKey: {{ $key }}
  maxSkew: 1
  whenUnsatisfiable: {{ $unsatisfiable }}
  matchLabelKeys: [pod-template-hash]
  labelSelector:
    matchLabels:
      {{- include "token-broker.selector" $root | nindent 6 }}
      app.kubernetes.io/component: {{ $component }}
{{- end }}
{{- end -}}
