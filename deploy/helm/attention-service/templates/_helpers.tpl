{{- define "attention.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "attention.fullname" -}}
{{- $name := include "attention.name" . }}
{{- $whole := contains $name .Release.Name | ternary .Release.Name (printf "%s-%s" .Release.Name $name) }}
{{- .Values.fullnameOverride | default $whole | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "attention.selectorLabels" -}}
app.kubernetes.io/name: {{ include "attention.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: server
{{- end }}

{{- define "attention.testLabels" -}}
app.kubernetes.io/name: {{ include "attention.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: test
{{- end }}

{{- define "attention.commonLabels" -}}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "attention.labels" -}}
{{ include "attention.selectorLabels" . }}
{{ include "attention.commonLabels" . }}
{{- end }}

{{- define "attention.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{- /* The text of a setting. Helm holds numbers of files as float64, whose default form is 6.7108864e+07. */ -}}
{{- define "attention.setting" -}}
{{- if kindIs "slice" . }}{{ join "," . }}
{{- else if kindIs "string" . }}{{ . }}
{{- else }}{{ regexReplaceAll "[.]?0+$" (printf "%.9f" (float64 .)) "" }}
{{- end }}
{{- end }}

{{- /* Cores of the CPU limit, or of the request where there is no limit, rounded up, and shared out among the workers. */ -}}
{{- define "attention.computeThreads" -}}
{{- $limits := .Values.resources.limits | default dict }}
{{- $requests := .Values.resources.requests | default dict }}
{{- with $limits.cpu | default $requests.cpu }}
{{- $text := toString . }}
{{- $cores := hasSuffix "m" $text | ternary (divf (trimSuffix "m" $text | float64) 1000.0) (float64 $text) | ceil | int }}
{{- max 1 (div $cores (int ($.Values.settings.workers | default 1))) }}
{{- end }}
{{- end }}

{{- define "attention.keysSecret" -}}
{{- if .Values.keys.existingSecret }}{{ .Values.keys.existingSecret }}
{{- else if .Values.keys.entries }}{{ include "attention.fullname" . }}-keys
{{- end }}
{{- end }}

{{- define "attention.claim" -}}
{{- .Values.memories.claim.existingClaim | default (printf "%s-memories" (include "attention.fullname" .)) }}
{{- end }}

{{- define "attention.redisSecret" -}}
{{- .Values.memories.redis.existingSecret | default (printf "%s-redis" (include "attention.fullname" .)) }}
{{- end }}

{{- define "attention.redisPort" -}}
{{- with .Values.memories.redis }}
{{- $address := .existingSecret | empty | ternary (get (urlParse .url) "host") "" }}
{{- regexFind "[0-9]+$" (regexFind ":[0-9]+$" $address) | default (.port | int | toString) }}
{{- end }}
{{- end }}

{{- define "attention.maxBodyBytes" -}}
{{- include "attention.setting" (.Values.settings.max_body_bytes | default (include "attention.default.max_body_bytes" .)) }}
{{- end }}

{{- /* Whole seconds of a setting and some more: (dict "root" $ "name" "drain_seconds" "more" 10). */ -}}
{{- define "attention.secondsOf" -}}
{{- $set := get .root.Values.settings .name }}
{{- $seconds := $set | default (include (printf "attention.default.%s" .name) .root) }}
{{- add (float64 $seconds | ceil | int) .more }}
{{- end }}

{{- define "attention.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
# A volume that is as it ought to be is left alone, with the modes that the store gave its files.
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "attention.securityContext" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
{{- end }}

{{- define "attention.rayEnv" -}}
- name: RAY_AUTH_MODE
  value: {{ .Values.ray.tokenSecret | empty | ternary "disabled" "token" }}
{{- with .Values.ray.tokenSecret }}
- name: RAY_AUTH_TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ . }}
      key: auth_token
{{- end }}
# A node that died is noticed after about 2 s instead of 15 s.
- name: RAY_health_check_period_ms
  value: "500"
- name: RAY_health_check_timeout_ms
  value: "1000"
- name: RAY_health_check_failure_threshold
  value: "3"
- name: RAY_health_check_initial_delay_ms
  value: "1000"
- name: RAY_USAGE_STATS_ENABLED
  value: "0"
- name: HOME
  value: /tmp/ray
{{- end }}

{{- define "attention.rayMounts" -}}
- name: ray
  mountPath: /tmp/ray
- name: shm
  mountPath: /dev/shm
{{- end }}

{{- define "attention.validate" -}}
{{- $drain := .Values.settings.drain_seconds | default (include "attention.default.drain_seconds" .) | float64 }}
{{- if ge (.Values.settings.ready_delay_seconds | default 0 | float64) $drain }}
{{- fail (printf "settings.ready_delay_seconds: expected less than settings.drain_seconds, which includes it and is %g; received %g. Lower it, or raise drain_seconds." $drain (float64 .Values.settings.ready_delay_seconds)) }}
{{- end }}
{{- $memories := .Values.memories }}
{{- if eq $memories.store "claim" }}
{{- if .Values.autoscaling.enabled }}
{{- fail "autoscaling.enabled: expected false with memories.store claim; received true. A volume serves one pod: set memories.store to redis, or autoscaling.enabled to false." }}
{{- end }}
{{- if ne (int .Values.replicaCount) 1 }}
{{- fail (printf "replicaCount: expected 1 with memories.store claim; received %d. A volume serves one pod: set replicaCount to 1, or memories.store to redis." (int .Values.replicaCount)) }}
{{- end }}
{{- end }}
{{- if and (eq $memories.store "redis") (not $memories.redis.url) (not $memories.redis.existingSecret) }}
{{- fail "memories.redis.url: expected a URL or memories.redis.existingSecret with memories.store redis; received neither. Set one of them." }}
{{- end }}
{{- if and .Values.route.enabled (not .Values.route.parentRefs) }}
{{- fail "route.parentRefs: expected at least one gateway with route.enabled; received none. Name it, as in [{name: public}]." }}
{{- end }}
{{- if .Values.autoscaling.enabled }}
{{- if gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas) }}
{{- fail (printf "autoscaling.maxReplicas: expected at least minReplicas, which is %d; received %d. Raise it, or lower minReplicas." (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) }}
{{- end }}
{{- if and (eq .Values.autoscaling.metric "cpu") (not ((.Values.resources.requests | default dict).cpu)) }}
{{- fail "resources.requests.cpu: expected a request with autoscaling.metric cpu, whose target is a share of it; received none. Set it." }}
{{- end }}
{{- end }}
{{- end }}
