{{- /* generated: defaults */ -}}
{{- define "attention.default.max_body_bytes" }}67108864{{ end }}
{{- define "attention.default.drain_seconds" }}20{{ end }}
{{- define "attention.default.deadline_seconds" }}60{{ end }}
{{- define "attention.default.body_timeout_seconds" }}30{{ end }}
{{- define "attention.default.ray_min_operations" }}200000000000{{ end }}
{{- /* end: defaults */ -}}
