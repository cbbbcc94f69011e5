// Package measure answers the jobs of bench/measure/sample.ts in Go: the same questions, the same
// numbers, one line of JSON.
package measure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"
)

// SmallKey is the key of the small value.
const SmallKey = "colour"

// SmallValue is what every plugin has under SmallKey.
func SmallValue() []byte { return []byte("0123456789abcdef") }

// Subject is a plugin that runs.
type Subject interface {
	Transport() string
	Get(ctx context.Context, key string) ([]byte, error)
	Put(ctx context.Context, key string, value []byte) error
	Close()
}

// Echoer is a Subject that has Echo.
type Echoer interface {
	Echo(ctx context.Context, data []byte) ([]byte, error)
}

// Streamer is a Subject that has streams. Each returns how many elements came through.
type Streamer interface {
	Produce(ctx context.Context, count, elementBytes int) (int, error)
	Consume(ctx context.Context, count, elementBytes int) (int, error)
	Exchange(ctx context.Context, count, elementBytes int) (int, error)
}

// Open starts a plugin.
type Open func(command []string) (Subject, error)

type job struct {
	Kind          string
	Command       []string
	Seconds       float64
	WarmUpSeconds float64
	InFlight      int
	PayloadBytes  int
	PerSecond     float64
	Mode          string
}

type sample struct {
	Transport string             `json:"transport"`
	Latencies string             `json:"latencies,omitempty"`
	Metrics   map[string]float64 `json:"metrics"`
}

// Main answers the job in the program's argument, and ends the process.
func Main(open Open) {
	var job job
	err := errors.New("usage: JOB")
	if len(os.Args) == 2 {
		err = json.Unmarshal([]byte(os.Args[1]), &job)
	}
	if err == nil {
		var result sample
		result, err = answer(open, job)
		if err == nil {
			err = json.NewEncoder(os.Stdout).Encode(result)
		}
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "error: %v\n", err)
		os.Exit(1)
	}
}

func answer(open Open, job job) (sample, error) {
	if job.Kind == "start" {
		return start(open, job)
	}
	subject, err := open(job.Command)
	if err != nil {
		return sample{}, err
	}
	defer subject.Close()
	result, err := measure(subject, job)
	result.Transport = subject.Transport()
	return result, err
}

func measure(subject Subject, job job) (sample, error) {
	switch job.Kind {
	case "unary":
		return unary(subject, job)
	case "rate":
		return rate(subject, job)
	case "rare":
		return rare(subject, job)
	case "up", "down", "echo":
		return payload(subject, job)
	case "produce", "consume", "exchange":
		return stream(subject, job)
	}
	return sample{}, fmt.Errorf("cannot measure %s", job.Kind)
}

func seconds(count float64) time.Duration { return time.Duration(count * float64(time.Second)) }
