{{/* A value as a variable's text: whole numbers without an exponent. */}}
{{- define "token-broker.text" -}}
{{- if and (kindIs "float64" .) (eq . (floor .)) -}}
{{- int64 . -}}
{{- else -}}
{{- toString . -}}
{{- end -}}
{{- end -}}

{{/* Where each of `files` is told, and what it is called. */}}
{{- define "token-broker.fileNames" -}}
providers: { variable: PROVIDERS_FILE, path: providers.yaml }
clients: { variable: CLIENTS_FILE, path: clients.yaml }
webhooks: { variable: WEBHOOKS_FILE, path: webhooks.yaml }
workloadIssuers: { variable: WORKLOAD_ISSUERS_FILE, path: workload-issuers.yaml }
databaseCa: { variable: DATABASE_CA_FILE, path: database-ca.pem }
{{- end -}}

{{/* The public side on its own knows no callers, neither their keys nor where they would come from, and tells nobody anything. */}}
{{- define "token-broker.isWithheld" -}}
{{- if and (eq .component "public") (has .name (list "ADMIN_KEY" "CLIENTS_FILE" "WEBHOOKS_FILE" "WORKLOAD_ISSUERS" "WORKLOAD_ISSUERS_FILE")) -}}
true
{{- end -}}
{{- end -}}

{{/* All variables of a component, as a map in YAML. */}}
{{- define "token-broker.variables" -}}
{{- $values := .root.Values -}}
{{- $component := .component -}}
{{- $variables := dict "NODE_ENV" "production" "OPS_PORT" "9090" "PUBLIC_URL" $values.public.url -}}
{{- $_ := set $variables "PORT" (ternary "off" "8080" (eq $component "public")) -}}
{{- $_ := set $variables "PUBLIC_PORT" (ternary "off" "8081" (and $values.public.separate (eq $component "broker"))) -}}
{{- if and (eq $values.internal.tls.mode "cert") (eq $component "broker") -}}
{{- $_ := set $variables "TLS_CERT_FILE" "/etc/token-broker/tls/tls.crt" -}}
{{- $_ := set $variables "TLS_KEY_FILE" "/etc/token-broker/tls/tls.key" -}}
{{- end -}}
{{- $fileNames := include "token-broker.fileNames" .root | fromYaml -}}
{{- range $name, $file := $values.files -}}
{{- $known := index $fileNames $name -}}
{{- if and $file (not (include "token-broker.isWithheld" (dict "component" $component "name" $known.variable))) -}}
{{- $_ := set $variables $known.variable (printf "/etc/token-broker/files/%s" $known.path) -}}
{{- end -}}
{{- end -}}
{{- range $name, $value := $values.settings -}}
{{- if not (include "token-broker.isWithheld" (dict "component" $component "name" $name)) -}}
{{- $isSwitch := has $name (list "DATABASE_NAMED_STATEMENTS" "DATABASE_NOTIFICATIONS") -}}
{{- $_ := set $variables $name (ternary (ternary "on" "off" (has $value (list true "on"))) (include "token-broker.text" $value) $isSwitch) -}}
{{- end -}}
{{- end -}}
{{- if $values.migration.job -}}
{{- $_ := set $variables "MIGRATE_ON_START" "false" -}}
{{- end -}}
{{- range $name, $place := $values.secrets.settings -}}
{{- if not (include "token-broker.isWithheld" (dict "component" $component "name" $name)) -}}
{{- $_ := set $variables (printf "%s_FILE" $name) (printf "/etc/token-broker/secrets/%s" $name) -}}
{{- end -}}
{{- end -}}
{{- range $name, $value := $values.env -}}
{{- if hasKey $variables $name -}}
{{- fail (printf "env.%s: the chart sets this itself, from a value of its own" $name) -}}
{{- end -}}
{{- $_ := set $variables $name (include "token-broker.text" $value) -}}
{{- end -}}
{{- toYaml $variables -}}
{{- end -}}

{{- define "token-broker.environment" -}}
{{- range $name, $value := (include "token-broker.variables" . | fromYaml) }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}
