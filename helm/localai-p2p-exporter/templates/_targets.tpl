{{/*
Several LocalAIs: the file that names them, the Secrets that it names, and how Pods share it.
*/}}

{{/* Where the file lies, or nothing where there is one LocalAI. */}}
{{- define "localai-p2p-exporter.targetsFile" -}}
{{- with .Values.targets -}}
{{- if or .config .existingConfigMap.name -}}
{{ include "localai-p2p-exporter.folder" $ }}/targets/{{ ternary "targets.yml" .existingConfigMap.key (empty .existingConfigMap.name) }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Flags on them. Kubernetes puts the Pod's name into its place. */}}
{{- define "localai-p2p-exporter.targetsArgs" -}}
- {{ printf "--config.file=%s" (include "localai-p2p-exporter.targetsFile" .) | quote }}
{{- if gt (int .Values.targets.shards) 1 }}
- --config.shard=$(POD_NAME)/{{ int .Values.targets.shards }}
{{- end }}
{{- end -}}

{{/* The file and the Secrets as volumes. */}}
{{- define "localai-p2p-exporter.targetsVolumes" -}}
{{- if include "localai-p2p-exporter.targetsFile" . }}
- name: targets
  configMap:
    name: {{ .Values.targets.existingConfigMap.name | default (include "localai-p2p-exporter.targetsName" .) | quote }}
{{- range .Values.targets.secrets }}
- name: {{ printf "target-%s" (sha256sum . | trunc 16) }}
  secret:
    secretName: {{ . | quote }}
    defaultMode: 0440
{{- end }}
{{- end }}
{{- end -}}

{{/* Where they are mounted: side by side, so that the file finds a Secret's entry at `../secrets/SECRET/ENTRY`. */}}
{{- define "localai-p2p-exporter.targetsMounts" -}}
{{- $folder := include "localai-p2p-exporter.folder" . -}}
{{- if include "localai-p2p-exporter.targetsFile" . }}
- name: targets
  mountPath: {{ $folder }}/targets
  readOnly: true
{{- range .Values.targets.secrets }}
- name: {{ printf "target-%s" (sha256sum . | trunc 16) }}
  mountPath: {{ printf "%s/secrets/%s" $folder . | quote }}
  readOnly: true
{{- end }}
{{- end }}
{{- end -}}

{{/* The ConfigMap with the file. */}}
{{- define "localai-p2p-exporter.targetsName" -}}
{{ include "localai-p2p-exporter.fullname" . | trunc 55 | trimSuffix "-" }}-targets
{{- end -}}

{{/* The Service that gives each Pod of the StatefulSet a name. */}}
{{- define "localai-p2p-exporter.shardsName" -}}
{{ include "localai-p2p-exporter.fullname" . | trunc 56 | trimSuffix "-" }}-shards
{{- end -}}

{{/* The Deployment, or the StatefulSet, whose name and a hash of ten letters and a dash are a label of its Pods. */}}
{{- define "localai-p2p-exporter.workloadName" -}}
{{ include "localai-p2p-exporter.fullname" . | trunc (ternary 52 63 (gt (int .Values.targets.shards) 1)) | trimSuffix "-" }}
{{- end -}}

{{/* Where Prometheus reaches the exporter, or each of those that share the targets, as a list of HOST:PORT. */}}
{{- define "localai-p2p-exporter.addresses" -}}
{{- $shards := int .Values.targets.shards -}}
{{- if gt $shards 1 }}
{{- range until $shards }}
- {{ include "localai-p2p-exporter.workloadName" $ }}-{{ . }}.{{ include "localai-p2p-exporter.shardsName" $ }}.{{ $.Release.Namespace }}.svc:{{ int $.Values.web.port }}
{{- end }}
{{- else }}
- {{ include "localai-p2p-exporter.fullname" . }}.{{ .Release.Namespace }}.svc:{{ int .Values.service.port }}
{{- end }}
{{- end -}}
