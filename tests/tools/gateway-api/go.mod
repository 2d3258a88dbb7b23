// The module whose definition of HTTPRoute judges the chart's: `./run long` fetches it, and builds nothing.
module localai-p2p-exporter.example/tests/tools/gateway-api

go 1.24.0

require sigs.k8s.io/gateway-api v1.4.1
