// Command everythinghost loads an Everything plugin with the Go original's own
// code and checks every method; package report says how it is called. Its own
// ways to end: -end=panic and -end=exit3 make the plugin die in a call, and
// report how it ended and whether the call ever returned; -end=print makes it
// print on stdout and calls it once more; -end=decoy loads it a second time, as
// a Decoy; -end=limit asks for answers around the 64 KiB that a host can take,
// which a plugin of the original answers by chance, if at all.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"time"

	"bun-plug.test/go/internal/everything"
	"bun-plug.test/go/internal/report"
	"bun-plug.test/go/interop"
)

func main() {
	run := report.Start()
	plugin := report.Load(run, interop.LoadEverything)

	for _, method := range methods {
		run.Step(method.name, func(report.Fields) error { return method.check(plugin) })
	}
	for _, text := range []string{"plain text", "", "ünïcode 💥\nsecond line"} {
		run.Fails("Fail", func() error { return plugin.Fail(text) })
	}
	call := func(i int) error {
		sum, err := plugin.AddInt32(int32(i), math.MaxInt32)
		if err != nil {
			return err
		}
		return report.Check("sum", sum, int32(i)+math.MaxInt32)
	}
	run.Step("calls", func(f report.Fields) error {
		f["calls"] = run.Calls()
		for i := range run.Calls() {
			if err := call(i); err != nil {
				return fmt.Errorf("call %d: %w", i, err)
			}
			// Every tenth call carries an item, so that both ends grow and
			// reuse their buffers.
			if same, err := plugin.IsItem(everything.MakeItem(uint32(i)), uint32(i)); i%10 == 0 && (err != nil || !same) {
				return fmt.Errorf("item %d: %v %w", i, same, err)
			}
		}
		return nil
	})
	run.Concurrently(call)

	run.EndWith("panic", func() { die(run, func() error { return plugin.Panic("told to panic") }) })
	run.EndWith("exit3", func() { die(run, func() error { return plugin.Exit(3, "told to exit") }) })
	run.EndWith("print", func() {
		run.Step("printed", func(report.Fields) error {
			if err := plugin.Print("a line on stdout\n"); err != nil {
				return err
			}
			return call(1)
		})
	})
	run.EndWith("decoy", func() {
		decoy := report.Load(run, interop.LoadDecoy)
		run.Step("decoy", func(report.Fields) error {
			name, err := decoy.Name("duck")
			if err != nil {
				return err
			}
			return report.Check("name", name, "decoy duck")
		})
	})
	run.EndWith("limit", func() {
		// With 9 bytes around the data: a frame of 65,536 bytes, and one more.
		const largest = 65_536 - 9
		fill := func(count int) error {
			got, err := plugin.Fill(uint32(count))
			return errors.Join(err, check(bytes.Equal(got, pattern(count)), len(got)))
		}
		run.Step("largest answer", func(report.Fields) error { return fill(largest) })
		run.Fails("answer too large", func() error { return fill(largest + 1) })
		run.Step("after too large", func(report.Fields) error { return fill(largest) })
		run.Step("large request", func(f report.Fields) error {
			data := pattern(5_000_000)
			f["bytes"] = len(data)
			want, _ := new(everything.Handler).Sum(data)
			return is(want)(plugin.Sum(data))
		})
	})
	// Longer than the host lives, but not for ever: the original's plugin does
	// not notice that its host is gone before the call is done.
	run.End(func() { plugin.Sleep(3000) })
}

// die makes a call that the plugin does not survive. The original's host waits
// for its answer for ever, which "hung" tells.
func die(run *report.Run, call func() error) {
	returned := make(chan error, 1)
	go func() { returned <- call() }()
	run.Step("died", func(f report.Fields) error {
		code, signal, err := report.Exit(run.Pid())
		f["exitCode"], f["signal"] = code, signal
		select {
		case callErr := <-returned:
			f["hung"], f["text"] = false, fmt.Sprint(callErr)
		case <-time.After(200 * time.Millisecond):
			f["hung"] = true
		}
		return err
	})
}
