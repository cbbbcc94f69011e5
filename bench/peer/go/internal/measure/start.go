package measure

import (
	"context"
	"time"
)

// start times loads, from the start of each to its first answer.
func start(open Open, job job) (sample, error) {
	latencies := newLatencies()
	transport := ""
	for end := time.Now().Add(seconds(job.Seconds)); ; {
		from := time.Now()
		subject, err := open(job.Command)
		if err != nil {
			return sample{}, err
		}
		err = small(subject)(context.Background())
		latencies.record(time.Since(from))
		transport = subject.Transport()
		subject.Close()
		if err != nil {
			return sample{}, err
		}
		if job.Mode == "once" || time.Now().After(end) {
			break
		}
	}
	result, err := latencies.sample(map[string]float64{})
	result.Transport = transport
	return result, err
}
