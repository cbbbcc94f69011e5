package measure

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	firstCount  = 16
	partsOfSpan = 10
)

// stream is one stream after the other, each of as many elements as fit into a part of the span.
func stream(subject Subject, job job) (sample, error) {
	streamer, ok := subject.(Streamer)
	if !ok {
		return sample{}, errors.New("has no streams")
	}
	pass := map[string]func(context.Context, int, int) (int, error){
		"produce":  streamer.Produce,
		"consume":  streamer.Consume,
		"exchange": streamer.Exchange,
	}[job.Kind]
	run := func(count int) error {
		got, err := pass(context.Background(), count, job.PayloadBytes)
		if err == nil && got != count {
			err = fmt.Errorf("%d elements went out, and %d arrived", count, got)
		}
		return err
	}
	count, err := countFor(run, job)
	if err != nil {
		return sample{}, err
	}
	cpu := watchCPU()
	start := time.Now()
	total := 0
	for time.Since(start) < seconds(job.Seconds) {
		if err := run(count); err != nil {
			return sample{}, err
		}
		total += count
	}
	span := time.Since(start).Seconds()
	metrics := cpu(total)
	metrics["messages_per_s"] = float64(total) / span
	metrics["bytes_per_s"] = float64(total*job.PayloadBytes) / span
	return sample{Metrics: metrics}, nil
}

// countFor streams more and more elements, until it is known how many fill a part of the span.
func countFor(run func(int) error, job job) (int, error) {
	end := time.Now().Add(seconds(job.WarmUpSeconds))
	for count := firstCount; ; {
		start := time.Now()
		if err := run(count); err != nil {
			return 0, err
		}
		if time.Since(start) < seconds(job.Seconds/partsOfSpan) {
			count *= 2
		} else if time.Now().After(end) {
			return count, nil
		}
	}
}
