{{/* The Deployment of a component: "broker", which serves the cluster, or "public", which serves browsers alone. */}}
{{- define "token-broker.deployment" -}}
{{- $root := .root -}}
{{- $values := $root.Values -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .name }}
  labels:
    {{- include "token-broker.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
spec:
  {{- if not (and $values.autoscaling.enabled (eq .component "broker")) }}
  replicas: {{ int64 .replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  strategy:
    type: RollingUpdate
    rollingUpdate: { maxSurge: 1, maxUnavailable: 0 }
  selector:
    matchLabels:
      {{- include "token-broker.selector" $root | nindent 6 }}
      app.kubernetes.io/component: {{ .component }}
  template:
    metadata:
      labels:
        {{- with $values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        {{- include "token-broker.labels" $root | nindent 8 }}
        app.kubernetes.io/component: {{ .component }}
        token-broker/has-ops-port: 'true'
      annotations:
        # Files are read once, at the start.
        checksum/files: {{ $values.files | toYaml | sha256sum }}
        {{- with $values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ include "token-broker.serviceAccountName" $root }}
      automountServiceAccountToken: {{ and $values.serviceAccount.automount (eq .component "broker") }}
      enableServiceLinks: false
      terminationGracePeriodSeconds: {{ int64 $values.terminationGracePeriodSeconds }}
      securityContext:
        {{- include "token-broker.podSecurity" $root | nindent 8 }}
      {{- with $values.image.pullSecrets }}
      imagePullSecrets:
        {{- range . }}
        - name: {{ . }}
        {{- end }}
      {{- end }}
      {{- with $values.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      containers:
        - name: broker
          image: {{ include "token-broker.image" $root }}
          imagePullPolicy: {{ $values.image.pullPolicy }}
          securityContext:
            {{- include "token-broker.containerSecurity" $root | nindent 12 }}
          env:
            {{- include "token-broker.environment" . | trim | nindent 12 }}
          ports:
            {{- include "token-broker.ports" . | trim | nindent 12 }}
          # The first replica of a release may migrate meanwhile, or wait for its database.
          startupProbe:
            httpGet: { path: /health/startup, port: ops }
            periodSeconds: 2
            failureThreshold: 300
            timeoutSeconds: 5
          # All replicas lose their database at once: for as long as they serve from memory, they have to be found.
          readinessProbe:
            httpGet: { path: '/health/ready?from_memory=true', port: ops }
            periodSeconds: 5
            failureThreshold: 2
            timeoutSeconds: 5
          # The process alone: a database's trouble must not kill every replica.
          livenessProbe:
            httpGet: { path: /health/live, port: ops }
            periodSeconds: 10
            failureThreshold: 6
            timeoutSeconds: 5
          lifecycle:
            preStop:
              sleep: { seconds: {{ int64 $values.preStopSeconds }} }
          resources:
            {{- toYaml $values.resources | nindent 12 }}
          volumeMounts:
            {{- include "token-broker.volumeMounts" . | trim | nindent 12 }}
      volumes:
        {{- include "token-broker.volumes" . | trim | nindent 8 }}
      topologySpreadConstraints:
        {{- include "token-broker.spread" . | trim | nindent 8 }}
      {{- with $values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $values.affinity }}
      affinity:
        {{- toYaml . | nindent 8 }}
      {{- end }}
{{- end -}}
