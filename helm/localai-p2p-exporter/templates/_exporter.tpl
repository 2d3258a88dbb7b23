{{/*
How the exporter is called, and which files it reads: for the Deployment and for the Pod of `helm test`.
*/}}

{{/* Where its files are mounted. */}}
{{- define "localai-p2p-exporter.folder" -}}
/etc/localai-p2p-exporter
{{- end -}}

{{/* Refuses what the schema cannot: secrets, which its errors would repeat, and values that are compared. */}}
{{- define "localai-p2p-exporter.validate" -}}
{{- if regexMatch "://[^/]*@" .Values.localai.url -}}
{{- fail "localai.url: a user or password has no place in it. LocalAI's API key goes into localai.auth.existingSecret" -}}
{{- end -}}
{{- if regexMatch "://[^/]*@" .Values.localai.proxyUrl -}}
{{- fail "localai.proxyUrl: a user or password has no place in it: give a proxy that needs none" -}}
{{- end -}}
{{- if regexMatch "[^!-~]|," (trim .Values.localai.auth.apiKey) -}}
{{- fail "localai.auth.apiKey holds a comma, a blank or another character that no key can have: give one key, and no list" -}}
{{- end -}}
{{- with .Values.targets -}}
{{- if and (or .config .existingConfigMap.name) $.Values.localai.url -}}
{{- fail "localai.url and targets exclude each other: with targets every LocalAI stands there" -}}
{{- end -}}
{{- if and .config .existingConfigMap.name -}}
{{- fail "targets.config and targets.existingConfigMap exclude each other: give one of them" -}}
{{- end -}}
{{- if and (gt (int .shards) 1) (not (or .config .existingConfigMap.name)) -}}
{{- fail "targets.shards: there are no targets to share: give targets.config or targets.existingConfigMap" -}}
{{- end -}}
{{- end -}}
{{- if eq (int .Values.web.port) (int .Values.web.healthPort) -}}
{{- fail "web.port and web.healthPort are the same: give the probes a port of their own" -}}
{{- end -}}
{{- end -}}

{{/* The Secret with LocalAI's API key: the operator's, the chart's, or none. */}}
{{- define "localai-p2p-exporter.apiKeySecret" -}}
{{- if .Values.localai.auth.existingSecret.name -}}
{{- .Values.localai.auth.existingSecret.name -}}
{{- else if .Values.localai.auth.apiKey -}}
{{- include "localai-p2p-exporter.fullname" . -}}
{{- end -}}
{{- end -}}

{{/* Flags on LocalAI and how long to wait for it, which every command that asks it needs. */}}
{{- define "localai-p2p-exporter.localaiArgs" -}}
{{- $folder := include "localai-p2p-exporter.folder" . -}}
- {{ printf "--localai.url=%s" (tpl .Values.localai.url .) | quote }}
{{- if include "localai-p2p-exporter.apiKeySecret" . }}
- --localai.api-key-file={{ $folder }}/api-key/api-key
{{- end }}
{{- with .Values.localai.tls }}
{{- if or .ca.existingConfigMap.name .ca.existingSecret.name .ca.pem }}
- --localai.tls-ca-file={{ $folder }}/ca/ca.crt
{{- end }}
{{- if .clientCertificate.existingSecret }}
- --localai.tls-cert-file={{ $folder }}/client/tls.crt
- --localai.tls-key-file={{ $folder }}/client/tls.key
{{- end }}
{{- if .insecure }}
- --localai.tls-insecure
{{- end }}
{{- end }}
{{- with .Values.localai.proxyUrl }}
- {{ printf "--localai.proxy-url=%s" . | quote }}
{{- end }}
{{- with .Values.localai.maxResponseBytes }}
- --localai.max-response-bytes={{ ternary . (int64 .) (kindIs "string" .) }}
{{- end }}
{{- with .Values.poll.timeout }}
- --poll.timeout={{ . }}
{{- end }}
{{- end -}}

{{/* Flags on the loop and on what is shown. 0 is a number of nodes that may be expected. */}}
{{- define "localai-p2p-exporter.loopArgs" -}}
{{- with .Values.poll }}
{{- with .interval }}
- --poll.interval={{ . }}
{{- end }}
{{- with .staleAfter }}
- --poll.stale-after={{ . }}
{{- end }}
{{- end }}
{{- with .Values.node }}
{{- with .retention }}
- --node.retention={{ . }}
{{- end }}
{{- if not (kindIs "invalid" .limit) }}
- --node.limit={{ int64 .limit }}
{{- end }}
{{- end }}
{{- with .Values.expect }}
{{- if not (kindIs "invalid" .workers) }}
- --expect.workers={{ int64 .workers }}
{{- end }}
{{- if not (kindIs "invalid" .federated) }}
- --expect.federated={{ int64 .federated }}
{{- end }}
{{- range .hosts }}
- {{ printf "--expect.host=%s" . | quote }}
{{- end }}
{{- end }}
{{- if .Values.collector.token }}
- --collector.token
{{- end }}
{{- if .Values.collector.distributed }}
- --collector.distributed
{{- end }}
{{- end -}}

{{/* Flags on the server and the log. */}}
{{- define "localai-p2p-exporter.serverArgs" -}}
{{- with .Values.web }}
- --web.listen-address=:{{ int .port }}
- --web.telemetry-path={{ .telemetryPath }}
{{- with .config.existingSecret }}
{{- if .name }}
- --web.health-address=:{{ int $.Values.web.healthPort }}
- {{ printf "--web.config.file=%s/web/config/%s" (include "localai-p2p-exporter.folder" $) .key | quote }}
{{- end }}
{{- end }}
{{- if .disableExporterMetrics }}
- --web.disable-exporter-metrics
{{- end }}
{{- end }}
{{- with .Values.log }}
- --log.level={{ .level }}
- --log.format={{ .format }}
{{- end }}
{{- end -}}

{{/* The environment: the Pod's name where its flags hold it, and else what the operator gave. */}}
{{- define "localai-p2p-exporter.environment" -}}
{{- $name := dict "name" "POD_NAME" "valueFrom" (dict "fieldRef" (dict "fieldPath" "metadata.name")) -}}
{{- with concat (ternary (list $name) list (gt (int .Values.targets.shards) 1)) .Values.extraEnv }}
env:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.envFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The files for asking LocalAI, as volumes. Readable by the Pod's group: `fsGroup`. */}}
{{- define "localai-p2p-exporter.localaiVolumes" -}}
{{- with include "localai-p2p-exporter.apiKeySecret" . }}
- name: api-key
  secret:
    secretName: {{ . | quote }}
    defaultMode: 0440
    items:
      - key: {{ ternary "api-key" $.Values.localai.auth.existingSecret.key (empty $.Values.localai.auth.existingSecret.name) | quote }}
        path: api-key
{{- end }}
{{- with .Values.localai.tls.ca }}
{{- if .existingSecret.name }}
- name: ca
  secret:
    secretName: {{ .existingSecret.name | quote }}
    defaultMode: 0440
    items:
      - key: {{ .existingSecret.key | quote }}
        path: ca.crt
{{- else if or .existingConfigMap.name .pem }}
- name: ca
  configMap:
    name: {{ .existingConfigMap.name | default (include "localai-p2p-exporter.fullname" $) | quote }}
    items:
      - key: {{ ternary "ca.crt" .existingConfigMap.key (empty .existingConfigMap.name) | quote }}
        path: ca.crt
{{- end }}
{{- end }}
{{- with .Values.localai.tls.clientCertificate.existingSecret }}
- name: client
  secret:
    secretName: {{ . | quote }}
    defaultMode: 0440
{{- end }}
{{- end -}}

{{/* Where these volumes are mounted. Whole folders, and no `subPath`: of that a rotated Secret would never arrive. */}}
{{- define "localai-p2p-exporter.localaiMounts" -}}
{{- $folder := include "localai-p2p-exporter.folder" . -}}
{{- range include "localai-p2p-exporter.localaiVolumes" . | fromYamlArray }}
- name: {{ .name }}
  mountPath: {{ $folder }}/{{ .name }}
  readOnly: true
{{- end }}
{{- end -}}

{{/* The files of the web configuration, as volumes. */}}
{{- define "localai-p2p-exporter.webVolumes" -}}
{{- with .Values.web.config.existingSecret.name }}
- name: web-config
  secret:
    secretName: {{ . | quote }}
    defaultMode: 0440
{{- end }}
{{- with .Values.web.config.tlsSecret }}
- name: web-tls
  secret:
    secretName: {{ . | quote }}
    defaultMode: 0440
{{- end }}
{{- end -}}

{{/* Where they are mounted: side by side, so that the configuration finds the certificate at `../tls`. */}}
{{- define "localai-p2p-exporter.webMounts" -}}
{{- $folder := include "localai-p2p-exporter.folder" . -}}
{{- range include "localai-p2p-exporter.webVolumes" . | fromYamlArray }}
- name: {{ .name }}
  mountPath: {{ $folder }}/{{ replace "-" "/" .name }}
  readOnly: true
{{- end }}
{{- end -}}

{{/* Annotations of the Pods: a change of what the chart itself wrote starts them anew; the operator's go first. */}}
{{- define "localai-p2p-exporter.podAnnotations" -}}
{{- $ours := dict -}}
{{- with .Values.localai.auth.apiKey -}}
{{- $_ := set $ours "checksum/secret" (sha256sum .) -}}
{{- end -}}
{{- with .Values.localai.tls.ca.pem -}}
{{- $_ := set $ours "checksum/configmap" (sha256sum .) -}}
{{- end -}}
{{- if .Values.scrapeAnnotations.enabled -}}
{{- $_ := set $ours "prometheus.io/scrape" "true" -}}
{{- $_ := set $ours "prometheus.io/scheme" .Values.scrapeAnnotations.scheme -}}
{{- $_ := set $ours "prometheus.io/port" (toString .Values.web.port) -}}
{{- $_ := set $ours "prometheus.io/path" .Values.web.telemetryPath -}}
{{- end -}}
{{- with merge dict .Values.podAnnotations $ours -}}
{{ toYaml . }}
{{- end -}}
{{- end -}}

{{/* What both containers of `helm test` have in common with the exporter's. */}}
{{- define "localai-p2p-exporter.testContainer" -}}
image: {{ include "localai-p2p-exporter.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- with .Values.securityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
