package main

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics holds the service's counters. Labels are the model and the status.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	reloads  *prometheus.CounterVec

	answers *prometheus.HistogramVec // latency of requests that were answered with classes
	waited  *prometheus.HistogramVec // time of waiting for a session
	worked  *prometheus.HistogramVec // time of decoding and of the network
}

// bounds lists the upper bounds of a histogram's buckets in seconds.
var bounds = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

func newMetrics(g *gate, models []*model) *metrics {
	histogram := func(name, help string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: bounds}, []string{"model"})
	}
	gauge := func(name, help string, value func() int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return float64(value()) })
	}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "httpd_requests_total", Help: "Answers by status."}, []string{"model", "code"}),
		reloads:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "httpd_reloads_total", Help: "Reloads of weights by result."}, []string{"model", "result"}),
		answers:  histogram("httpd_request_seconds", "Whole requests that were answered with classes."),
		waited:   histogram("httpd_wait_seconds", "Waiting for a session."),
		worked:   histogram("httpd_work_seconds", "Decoding a picture and running the network."),
	}
	b := readBuild()
	m.registry.MustRegister(
		m.requests, m.reloads, m.answers, m.waited, m.worked,
		gauge("httpd_sessions", "Maximum number of requests at work.", func() int { return cap(g.work) }),
		gauge("httpd_sessions_busy", "Requests at work.", func() int { return len(g.work) }),
		gauge("httpd_requests_inside", "Requests at work or waiting.", func() int { return len(g.inside) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "httpd_build_info", Help: "What the program was built from.",
			ConstLabels: prometheus.Labels{"version": b.Version, "revision": b.Revision, "modified": strconv.FormatBool(b.Modified), "go": b.Go},
		}, func() float64 { return 1 }),
		modelInfo(models),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

func (m *metrics) answered(model string, status int, took time.Duration) {
	m.requests.WithLabelValues(model, strconv.Itoa(status)).Inc()
	if status == http.StatusOK {
		m.answers.WithLabelValues(model).Observe(took.Seconds())
	}
}

func (m *metrics) reloaded(model string, err error) {
	result := "ok"
	if err != nil {
		result = "failed"
	}
	m.reloads.WithLabelValues(model, result).Inc()
}

// modelInfo describes the models in use when metrics are read.
type modelInfo []*model

var modelInfoDesc = prometheus.NewDesc("httpd_model_info", "The models in use.", []string{"model", "sha256", "weights", "weights_sha256", "tier"}, nil)

func (modelInfo) Describe(c chan<- *prometheus.Desc) { c <- modelInfoDesc }

func (list modelInfo) Collect(c chan<- prometheus.Metric) {
	for _, m := range list {
		i := m.info()
		c <- prometheus.MustNewConstMetric(modelInfoDesc, prometheus.GaugeValue, 1, m.name, i.ModelSHA256, i.WeightsSource, i.WeightsSHA256, i.Tier)
	}
}
