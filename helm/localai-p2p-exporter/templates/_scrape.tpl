{{/*
How Prometheus scrapes the exporter: what ServiceMonitor, PodMonitor and ScrapeConfig have in common.
*/}}

{{/* The beginning of such an object: (list . KIND VALUES). */}}
{{- define "localai-p2p-exporter.scrapeHead" -}}
{{- $root := index . 0 -}}
{{- $values := index . 2 -}}
kind: {{ index . 1 }}
metadata:
  name: {{ include "localai-p2p-exporter.fullname" $root | quote }}
  namespace: {{ $values.namespace | default $root.Release.Namespace | quote }}
  labels:
    {{- include "localai-p2p-exporter.labelsWith" (list $root $values.labels) | nindent 4 }}
  {{- with $values.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{/* How a monitor finds the exporter, which may be in another namespace: its selectors. */}}
{{- define "localai-p2p-exporter.monitorSelectors" -}}
selector:
  matchLabels:
    {{- include "localai-p2p-exporter.selectorLabels" . | nindent 4 }}
namespaceSelector:
  matchNames:
    - {{ .Release.Namespace | quote }}
{{- end -}}

{{/* The endpoint of a monitor: (list . VALUES). */}}
{{- define "localai-p2p-exporter.monitorEndpoint" -}}
{{- $root := first . -}}
{{- with last . -}}
port: metrics
path: {{ $root.Values.web.telemetryPath }}
scheme: {{ .scheme }}
{{- with .interval }}
interval: {{ . | quote }}
{{- end }}
{{- with .scrapeTimeout }}
scrapeTimeout: {{ . | quote }}
{{- end }}
{{- with .tlsConfig }}
tlsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .basicAuth }}
basicAuth:
  {{- toYaml . | nindent 2 }}
{{- end }}
relabelings:
  - targetLabel: job
    replacement: {{ $root.Values.scrape.job | quote }}
  {{- with $root.Values.scrape.cluster }}
  - targetLabel: cluster
    replacement: {{ . | quote }}
  {{- end }}
  {{- with .relabelings }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
{{- end -}}
