{{/*
The exporter's Pod: the template of the Deployment, or of the StatefulSet whose Pods share the targets.
*/}}
{{- define "localai-p2p-exporter.pod" -}}
metadata:
  labels:
    {{- include "localai-p2p-exporter.podLabels" . | nindent 4 }}
  {{- with include "localai-p2p-exporter.podAnnotations" . }}
  annotations:
    {{- . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "localai-p2p-exporter.serviceAccountName" . | quote }}
  automountServiceAccountToken: false
  # Each Service of the namespace would become variables, and one of the exporter's own look like its flags.
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ int .Values.terminationGracePeriodSeconds }}
  {{- with include "localai-p2p-exporter.imagePullSecrets" . }}
  imagePullSecrets:
    {{- . | nindent 4 }}
  {{- end }}
  {{- with .Values.podSecurityContext }}
  securityContext:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: exporter
      image: {{ include "localai-p2p-exporter.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args:
        - serve
        {{- if include "localai-p2p-exporter.targetsFile" . }}
        {{- include "localai-p2p-exporter.targetsArgs" . | nindent 8 }}
        {{- else }}
        {{- include "localai-p2p-exporter.localaiArgs" . | nindent 8 }}
        {{- with include "localai-p2p-exporter.loopArgs" . | trim }}
        {{- . | nindent 8 }}
        {{- end }}
        {{- end }}
        {{- include "localai-p2p-exporter.serverArgs" . | trim | nindent 8 }}
        {{- with .Values.extraArgs }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with include "localai-p2p-exporter.environment" . | trim }}
      {{- . | nindent 6 }}
      {{- end }}
      ports:
        - name: metrics
          containerPort: {{ int .Values.web.port }}
        {{- if .Values.web.config.existingSecret.name }}
        - name: health
          containerPort: {{ int .Values.web.healthPort }}
        {{- end }}
      {{- $port := ternary "metrics" "health" (empty .Values.web.config.existingSecret.name) }}
      livenessProbe:
        httpGet:
          path: /-/healthy
          port: {{ $port }}
        {{- with .Values.livenessProbe }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      readinessProbe:
        httpGet:
          path: /-/ready
          port: {{ $port }}
        {{- with .Values.readinessProbe }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with .Values.securityContext }}
      securityContext:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .Values.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- $mounts := list (include "localai-p2p-exporter.localaiMounts" .) (include "localai-p2p-exporter.targetsMounts" .) (include "localai-p2p-exporter.webMounts" .) }}
      {{- with concat (join "\n" $mounts | fromYamlArray) .Values.extraVolumeMounts }}
      volumeMounts:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    {{- with .Values.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- $volumes := list (include "localai-p2p-exporter.localaiVolumes" .) (include "localai-p2p-exporter.targetsVolumes" .) (include "localai-p2p-exporter.webVolumes" .) }}
  {{- with concat (join "\n" $volumes | fromYamlArray) .Values.extraVolumes }}
  volumes:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with include "localai-p2p-exporter.placement" . | trim }}
  {{- . | nindent 2 }}
  {{- end }}
{{- end -}}
