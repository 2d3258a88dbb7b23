{{/*
Names, labels and the image: what every object shares.
*/}}

{{/* The chart's name, as label. */}}
{{- define "localai-p2p-exporter.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* The name of every object of the release. A Service's name, the shortest, has 63 characters. */}}
{{- define "localai-p2p-exporter.fullname" -}}
{{- $name := include "localai-p2p-exporter.name" . -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- .Values.fullnameOverride | default $full | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* What selects the exporter's Pods; a Deployment's selector never changes, so neither may this. */}}
{{- define "localai-p2p-exporter.selectorLabels" -}}
app.kubernetes.io/name: {{ include "localai-p2p-exporter.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* The labels of every object. */}}
{{- define "localai-p2p-exporter.labels" -}}
{{ include "localai-p2p-exporter.labelsWith" (list . dict) }}
{{- end -}}

{{/* The same with more, which go first: (list . MORE). */}}
{{- define "localai-p2p-exporter.labelsWith" -}}
{{- $root := first . -}}
{{- $selected := include "localai-p2p-exporter.selectorLabels" $root | fromYaml -}}
{{- $origin := include "localai-p2p-exporter.originLabels" $root | fromYaml -}}
{{ merge dict (last .) $root.Values.commonLabels $selected $origin | toYaml }}
{{- end -}}

{{/* The labels of Pods: without the chart's version, which alone is no reason to start them anew. */}}
{{- define "localai-p2p-exporter.podLabels" -}}
{{ omit (include "localai-p2p-exporter.labelsWith" (list . .Values.podLabels) | fromYaml) "helm.sh/chart" | toYaml }}
{{- end -}}

{{/* What says whence an object is. */}}
{{- define "localai-p2p-exporter.originLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: localai-p2p-exporter
{{- end -}}

{{/* The labels of the Pod of `helm test`, which nothing that selects the exporter selects. */}}
{{- define "localai-p2p-exporter.testLabels" -}}
app.kubernetes.io/name: {{ include "localai-p2p-exporter.name" . | trunc 58 | trimSuffix "-" }}-test
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* The image. A digest goes before the tag. */}}
{{- define "localai-p2p-exporter.image" -}}
{{- $registry := .Values.global.imageRegistry | default .Values.image.registry -}}
{{- with $registry }}{{ trimSuffix "/" . }}/{{ end -}}
{{- .Values.image.repository -}}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end -}}
{{- end -}}

{{/* The pull secrets, the chart's own and the shared ones, as a list, or nothing. */}}
{{- define "localai-p2p-exporter.imagePullSecrets" -}}
{{- with concat .Values.imagePullSecrets .Values.global.imagePullSecrets | uniq -}}
{{ toYaml . }}
{{- end -}}
{{- end -}}

{{/* The account of the Pods. */}}
{{- define "localai-p2p-exporter.serviceAccountName" -}}
{{- $name := ternary (include "localai-p2p-exporter.fullname" .) "default" .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default $name -}}
{{- end -}}

{{/* Where Pods may run, and with what of the node. */}}
{{- define "localai-p2p-exporter.placement" -}}
{{- range $name := list "nodeSelector" "tolerations" "affinity" "topologySpreadConstraints" "hostAliases" "dnsConfig" }}
{{- with get $.Values $name }}
{{ $name }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .Values.runtimeClassName }}
runtimeClassName: {{ . | quote }}
{{- end }}
{{- end -}}
