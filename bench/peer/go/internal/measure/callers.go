package measure

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// With many callers a look at the clock costs as much as a part of a call, so that only some of the
// calls are timed.
const timedEvery = 8

type call func(ctx context.Context) error

// keepInFlight keeps that many calls in flight for a span of time, and returns how many were
// answered, and in what time.
func keepInFlight(call call, callers int, span time.Duration, into *latencies) (int, time.Duration, error) {
	start := time.Now()
	if callers == 1 {
		count, err := oneAfterTheOther(call, start.Add(span), into)
		return count, time.Since(start), err
	}
	var count atomic.Int64
	var wait sync.WaitGroup
	failures := make(chan error, callers)
	for range callers {
		wait.Go(func() {
			calls, err := caller(call, start.Add(span), into)
			count.Add(int64(calls))
			if err != nil {
				failures <- err
			}
		})
	}
	wait.Wait()
	select {
	case err := <-failures:
		return 0, 0, err
	default:
		return int(count.Load()), time.Since(start), nil
	}
}

// oneAfterTheOther times each call, and nothing of what it takes to note that.
func oneAfterTheOther(call call, end time.Time, into *latencies) (count int, err error) {
	ctx := context.Background()
	for from := time.Now(); from.Before(end); count++ {
		if err := call(ctx); err != nil {
			return count, err
		}
		now := time.Now()
		if into != nil {
			into.record(now.Sub(from))
		}
		from = time.Now()
	}
	return count, nil
}

// caller is one of many. They start at different places of their count, so that those who are timed
// are not all timed at once.
func caller(call call, end time.Time, into *latencies) (count int, err error) {
	ctx := context.Background()
	for {
		from := time.Now()
		for range timedEvery {
			from = time.Now()
			if err := call(ctx); err != nil {
				return count, err
			}
			count++
		}
		now := time.Now()
		if into != nil {
			into.record(now.Sub(from))
		}
		if now.After(end) {
			return count, nil
		}
	}
}
