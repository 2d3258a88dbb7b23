{{/*
One rule of rules/rules.yaml, filled with the operator's values: (list VALUES RULE). Nothing where it is off.

A text of it holds a threshold as `@name`. Prometheus's own templates pass through untouched: they are data here.
*/}}
{{- define "localai-p2p-exporter.rule" -}}
{{- $values := first . -}}
{{- $rule := last . -}}
{{- if $rule.record }}
- record: {{ $rule.record }}
  expr: |-
    {{- $rule.expr | nindent 4 }}
{{- else }}
{{- $given := get $values.prometheusRule.alerts $rule.alert | default dict }}
{{- $enabled := $rule.enabled }}
{{- if hasKey $given "enabled" }}
{{- $enabled = $given.enabled }}
{{- end }}
{{- if $enabled }}
{{- $expr := replace "@job" $values.scrape.job $rule.expr }}
{{- $description := $rule.description }}
{{- $thresholds := $given.thresholds | default dict }}
{{- range $name, $default := $rule.thresholds }}
{{- $threshold := ternary (get $thresholds $name) $default (hasKey $thresholds $name) | toString }}
{{- $expr = regexReplaceAll (printf "@%s\\b" $name) $expr $threshold }}
{{- $description = regexReplaceAll (printf "@%s\\b" $name) $description $threshold }}
{{- end }}
- alert: {{ $rule.alert }}
  expr: |-
    {{- $expr | nindent 4 }}
  for: {{ $given.for | default $rule.for | quote }}
  labels:
    {{- merge (dict "severity" ($given.severity | default $rule.severity)) $values.prometheusRule.alertLabels | toYaml | nindent 4 }}
  annotations:
    summary: {{ $rule.summary | quote }}
    description: {{ $description | quote }}
    runbook_url: {{ printf "%s#%s" $values.prometheusRule.runbookBaseUrl (lower $rule.alert) | quote }}
{{- end }}
{{- end }}
{{- end -}}
