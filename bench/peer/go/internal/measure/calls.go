package measure

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"
)

func small(subject Subject) call {
	return func(ctx context.Context) error {
		value, err := subject.Get(ctx, SmallKey)
		if err == nil && len(value) != len(SmallValue()) {
			err = fmt.Errorf("got %d bytes", len(value))
		}
		return err
	}
}

// unary is Get of 16 bytes, with so many callers.
func unary(subject Subject, job job) (sample, error) {
	return closedLoop(small(subject), job, 0)
}

// payload is bytes of a size, one call after the other: up (Put), down (Get), both ways (Echo).
func payload(subject Subject, job job) (sample, error) {
	const key = "payload"
	value := make([]byte, job.PayloadBytes)
	for i := range value {
		value[i] = 0x5a
	}
	check := func(got []byte, err error) error {
		// The last byte is looked at, so that nobody gets away with memory that he has not read.
		if err == nil && (len(got) != len(value) || got[len(got)-1] != 0x5a) {
			return fmt.Errorf("%d bytes went out, and %d came back", len(value), len(got))
		}
		return err
	}
	ctx := context.Background()
	if err := subject.Put(ctx, key, value); err != nil {
		return sample{}, err
	}
	if err := check(subject.Get(ctx, key)); err != nil {
		return sample{}, err
	}
	put := func(ctx context.Context) error { return subject.Put(ctx, key, value) }
	get := func(ctx context.Context) error { return check(subject.Get(ctx, key)) }
	switch job.Kind {
	case "up":
		return closedLoop(put, job, job.PayloadBytes)
	case "down":
		return closedLoop(get, job, job.PayloadBytes)
	}
	echoer, ok := subject.(Echoer)
	if !ok {
		return sample{}, errors.New("its plugin has no Echo")
	}
	return closedLoop(func(ctx context.Context) error { return check(echoer.Echo(ctx, value)) }, job, job.PayloadBytes)
}

func closedLoop(call call, job job, payloadBytes int) (sample, error) {
	if job.WarmUpSeconds > 0 {
		if _, _, err := keepInFlight(call, job.InFlight, seconds(job.WarmUpSeconds), nil); err != nil {
			return sample{}, err
		}
	}
	latencies := newLatencies()
	cpu := watchCPU()
	count, span, err := keepInFlight(call, job.InFlight, seconds(job.Seconds), latencies)
	if err != nil {
		return sample{}, err
	}
	metrics := cpu(count)
	metrics["calls_per_s"] = float64(count) / span.Seconds()
	if payloadBytes > 0 {
		metrics["bytes_per_s"] = float64(count*payloadBytes) / span.Seconds()
	}
	return latencies.sample(metrics)
}

// rate is calls at a fixed rate, whose latency counts from the moment at which they were due; see
// bench/measure/rate.ts. The host spins between them.
func rate(subject Subject, job job) (sample, error) {
	call := small(subject)
	if _, _, err := keepInFlight(call, 1, seconds(job.WarmUpSeconds), nil); err != nil {
		return sample{}, err
	}
	const maxUnanswered = 10_000
	unanswered := make(chan struct{}, maxUnanswered)
	interval := time.Duration(float64(time.Second) / job.PerSecond)
	count := int(job.Seconds * job.PerSecond)
	latencies := newLatencies()
	failures := make(chan error, count)
	cpu := watchCPU()
	start := time.Now()
	var wait sync.WaitGroup
	for i := range count {
		due := start.Add(time.Duration(i) * interval)
		for time.Now().Before(due) {
			runtime.Gosched()
		}
		unanswered <- struct{}{}
		wait.Go(func() {
			err := call(context.Background())
			latencies.record(time.Since(due))
			<-unanswered
			if err != nil {
				failures <- err
			}
		})
	}
	wait.Wait()
	span := time.Since(start)
	select {
	case err := <-failures:
		return sample{}, err
	default:
	}
	metrics := cpu(count)
	// That of spinning.
	delete(metrics, "host_cpu_ns")
	metrics["calls_per_s"] = float64(count) / span.Seconds()
	return latencies.sample(metrics)
}

// rare is a call now and then, with both sides asleep in between.
func rare(subject Subject, job job) (sample, error) {
	call := small(subject)
	// Bursts, and then a wait until nothing is left to do; see bench/measure/rate.ts.
	for range 30 {
		for range 100 {
			if err := call(context.Background()); err != nil {
				return sample{}, err
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	time.Sleep(time.Second)
	pause := time.Duration(float64(time.Second) / job.PerSecond)
	latencies := newLatencies()
	cpu := watchCPU()
	start := time.Now()
	count := 0
	for end := start.Add(seconds(job.Seconds)); time.Now().Before(end); count++ {
		time.Sleep(pause)
		from := time.Now()
		if err := call(context.Background()); err != nil {
			return sample{}, err
		}
		latencies.record(time.Since(from))
	}
	metrics := cpu(count)
	metrics["calls_per_s"] = float64(count) / time.Since(start).Seconds()
	return latencies.sample(metrics)
}
