{{/*
What is of distributed mode comes where it is asked for.
*/}}

{{/* Whether what is of distributed mode belongs to a section of the values: (list . SECTION). */}}
{{- define "localai-p2p-exporter.distributed" -}}
{{- $told := (last .).distributed -}}
{{- ternary (first .).Values.collector.distributed $told (kindIs "invalid" $told) -}}
{{- end -}}

{{/* The paths of the dashboards of a section of the values, as a list: (list . SECTION). */}}
{{- define "localai-p2p-exporter.dashboards" -}}
{{- $distributed := eq "true" (include "localai-p2p-exporter.distributed" .) -}}
{{- range $path, $_ := (first .).Files.Glob "dashboards/*.json" }}
{{- if or $distributed (not (contains "distributed" $path)) }}
- {{ $path }}
{{- end }}
{{- end }}
{{- end -}}
