// Package report is what the host programs have in common: their command line,
// one JSON line on stdout for every step, a time limit, and ways to end.
//
//	HOST [-end=WAY] [-timeout=SPAN] PLUGIN CALLS
//
// Exit codes: 0 every step went well; 1 one did not, and was the last; 2 wrong
// usage; 4 a step took longer than -timeout; 7 -end=abrupt.
package report

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Run is one run of a host program.
type Run struct {
	plugin string
	calls  int
	end    string
	ends   map[string]func()

	mu   sync.Mutex // the time limit writes from another goroutine
	step string
	pids []int
}

// Fields are what a step reports beside its name and outcome.
type Fields map[string]any

// Start reads the command line and starts the time limit. A host of the Go
// original waits for ever when its plugin is gone, so every run needs one.
func Start() *Run {
	r := &Run{ends: map[string]func(){}}
	flag.StringVar(&r.end, "end", "exit", "how to end: exit; wait (exit when stdin ends); abrupt (os.Exit while a call runs); or another that the host knows")
	timeout := flag.Duration("timeout", time.Minute, "time limit for the whole run")
	flag.Parse()
	calls, err := strconv.Atoi(flag.Arg(1))
	if flag.NArg() != 2 || err != nil || calls < 0 {
		fmt.Fprintf(os.Stderr, "usage: %s [flags] PLUGIN CALLS\n", os.Args[0])
		flag.PrintDefaults()
		os.Exit(2)
	}
	r.plugin, r.calls = flag.Arg(0), calls
	time.AfterFunc(*timeout, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, pid := range children() {
			kill(pid) // one that does not answer may not notice our end either
		}
		write(r.step, Fields{"error": fmt.Sprintf("not done after %v", *timeout)}, false)
		os.Exit(4)
	})
	return r
}

// Calls is how many calls the mass steps make.
func (r *Run) Calls() int { return r.calls }

// Load is the first step. It reports the plugin's process id, which the
// original keeps to itself. A later load starts one more process.
func Load[S any](r *Run, load func(path string) (S, error)) S {
	var service S
	r.Step("load", func(f Fields) (err error) {
		service, err = load(r.plugin)
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, pid := range children() {
			if !slices.Contains(r.pids, pid) {
				r.pids = append(r.pids, pid)
				f["pid"] = pid
			}
		}
		return err
	})
	return service
}

// Step runs one step and reports it. A step that fails ends the program: after
// a slip of the original's protocol later answers mean nothing.
func (r *Run) Step(name string, run func(f Fields) error) {
	r.mu.Lock()
	r.step = name
	r.mu.Unlock()
	f := Fields{}
	err := run(f)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		f["error"] = err.Error()
	}
	write(name, f, err == nil)
	if err != nil {
		os.Exit(1)
	}
}

// Fails is a step that must fail, and reports the text it failed with.
func (r *Run) Fails(name string, call func() error) {
	r.Step(name, func(f Fields) error {
		err := call()
		if err == nil {
			return errors.New("did not fail")
		}
		f["text"] = err.Error()
		return nil
	})
}

// Concurrently makes the mass calls again from eight goroutines.
func (r *Run) Concurrently(call func(i int) error) {
	r.Step("concurrent", func(f Fields) error {
		const goroutines = 8
		errs := make(chan error, goroutines)
		for g := range goroutines {
			go func() {
				for i := g; i < r.calls; i += goroutines {
					if err := call(i); err != nil {
						errs <- fmt.Errorf("call %d: %w", i, err)
						return
					}
				}
				errs <- nil
			}()
		}
		f["calls"] = r.calls
		var all error
		for range goroutines {
			all = errors.Join(all, <-errs)
		}
		return all
	})
}

// EndWith adds a way to end that only this host knows.
func (r *Run) EndWith(way string, end func()) { r.ends[way] = end }

// Pid is the process id of the plugin that was loaded first.
func (r *Run) Pid() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pids[0]
}

// End ends the program as -end says. The original offers nothing to close: the
// pipes close with this process, and that is all its plugin is told. The call
// that -end=abrupt is to break off must take longer than 50 ms.
func (r *Run) End(long func()) {
	switch end := r.ends[r.end]; {
	case end != nil:
		end()
	case r.end == "exit":
		r.Step("end", func(Fields) error { return nil })
	case r.end == "wait":
		r.Step("waiting", func(Fields) error { return nil })
		io.Copy(io.Discard, os.Stdin)
	case r.end == "abrupt":
		go long()
		time.Sleep(50 * time.Millisecond)
		r.Step("abrupt", func(Fields) error { return nil })
		os.Exit(7)
	default:
		r.Step("end", func(Fields) error { return fmt.Errorf("no way to end is called %q", r.end) })
	}
}

// Check compares two values of the same simple type.
func Check[T comparable](what string, got, want T) error {
	if got == want {
		return nil
	}
	return fmt.Errorf("%s is %v, want %v", what, got, want)
}

func write(step string, fields Fields, ok bool) {
	line := map[string]any{"step": step, "ok": ok}
	for key, value := range fields {
		line[key] = value
	}
	json.NewEncoder(os.Stdout).Encode(line)
}
