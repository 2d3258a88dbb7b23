// The peer in Go: an exporter as client_golang's documentation shows it, which serves the series of a file.
//
// Its vectors are set once. A collector of constant metrics would compute the ages at each scrape, as the exporter does,
// and take longer, because it makes and checks every metric anew.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

type sample struct {
	labels []string
	value  float64
}

func (s *sample) UnmarshalJSON(text []byte) error {
	return json.Unmarshal(text, &[]any{&s.labels, &s.value})
}

type family struct {
	Name, Help, Type string
	Labels           []string
	Samples          []sample
}

func expose(register promauto.Factory, f family) {
	switch f.Type {
	case "histogram":
		var bounds []float64
		for _, s := range f.Samples[:len(f.Samples)-1] {
			bound, err := strconv.ParseFloat(s.labels[0], 64)
			if err != nil {
				log.Fatal(err)
			}
			bounds = append(bounds, bound)
		}
		histogram := register.NewHistogram(prometheus.HistogramOpts{Name: f.Name, Help: f.Help, Buckets: bounds})
		for i, bound := range bounds {
			for range int(f.Samples[i].value) {
				histogram.Observe(bound)
			}
		}
	case "counter":
		vector := register.NewCounterVec(prometheus.CounterOpts{Name: f.Name, Help: f.Help}, f.Labels)
		for _, s := range f.Samples {
			vector.WithLabelValues(s.labels...).Add(s.value)
		}
	default:
		vector := register.NewGaugeVec(prometheus.GaugeOpts{Name: f.Name, Help: f.Help}, f.Labels)
		for _, s := range f.Samples {
			vector.WithLabelValues(s.labels...).Set(s.value)
		}
	}
}

func main() {
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	var families []family
	if err := json.Unmarshal(text, &families); err != nil {
		log.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	for _, f := range families {
		expose(promauto.With(registry), f)
	}
	http.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr())
	log.Fatal(http.Serve(listener, nil))
}
