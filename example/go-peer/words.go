// The service Words of proto/words.proto.

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

type words struct {
	mu sync.Mutex
	// Of each Repeat and Wait, by its name.
	reports map[string]*report
}

type report struct {
	begun chan struct{}
	sent  uint32
	end   string
	ended chan struct{}
}

func newWords() *words { return &words{reports: map[string]*report{}} }

func (w *words) service() service {
	return service{name: "words.Words", magic: "magic", version: 1, methods: []method{
		{"Report", 0, w.report},
		{"Echo", 0, echo},
		{"Define", 0, define},
		{"Wait", 0, w.wait},
		{"Split", flagServerStreams, splitText},
		{"Repeat", flagServerStreams, w.repeat},
		{"Join", flagClientStreams, join},
		{"Shout", flagClientStreams | flagServerStreams, shout},
	}}
}

func echo(_ context.Context, call *call, request []byte) ([]byte, error) {
	if len(call.headers) > 0 {
		if err := call.SendHeaders(call.headers); err != nil {
			return nil, err
		}
		for _, e := range call.headers {
			call.trailers = append(call.trailers, entry{"trailer-" + e.name, e.value})
		}
	}
	return request, nil // the same message, whatever is in it
}

var meanings = map[string]string{"go": "a language", "bun": "a runtime"}

func define(_ context.Context, _ *call, request []byte) ([]byte, error) {
	word, err := textOf(request)
	if err != nil {
		return nil, err
	}
	meaning, known := meanings[word]
	if word == "panic" {
		panic("as asked")
	}
	if !known {
		return nil, callErrorf("not_found", "no meaning is known of %q", word)
	}
	return textMessage(meaning), nil
}

func (w *words) wait(ctx context.Context, _ *call, request []byte) (_ []byte, err error) {
	m, err := decodeOrRefuse(request)
	if err != nil {
		return nil, err
	}
	r := w.begin(m.text(1))
	defer func() { w.finish(r, err) }()
	select {
	case <-time.After(time.Duration(m.number(2)) * time.Millisecond):
		return textMessage("waited"), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func splitText(_ context.Context, call *call, request []byte) ([]byte, error) {
	line, err := textOf(request)
	if err != nil {
		return nil, err
	}
	for word := range strings.FieldsSeq(line) {
		if err := call.Send(textMessage(word)); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func (w *words) repeat(_ context.Context, call *call, request []byte) (_ []byte, err error) {
	m, err := decodeOrRefuse(request)
	if err != nil {
		return nil, err
	}
	r := w.begin(m.text(1))
	defer func() { w.finish(r, err) }()
	message, times := textMessage(m.text(2)), m.number(3)
	for i := uint32(0); times == 0 || i < times; i++ {
		if err := call.Send(message); err != nil {
			return nil, err
		}
		w.mu.Lock()
		r.sent++
		w.mu.Unlock()
	}
	return nil, nil
}

func join(_ context.Context, call *call, _ []byte) ([]byte, error) {
	var all []string
	for {
		message, err := call.Receive()
		if err == io.EOF {
			return textMessage(strings.Join(all, " ")), nil
		}
		if err != nil {
			return nil, err
		}
		word, err := textOf(message)
		if err != nil {
			return nil, err
		}
		if word == "" {
			return nil, callErrorf("invalid_argument", "word %d is empty", len(all))
		}
		all = append(all, word)
	}
}

func shout(_ context.Context, call *call, _ []byte) ([]byte, error) {
	for {
		message, err := call.Receive()
		if err == io.EOF {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		word, err := textOf(message)
		if err != nil {
			return nil, err
		}
		if err := call.Send(textMessage(strings.ToUpper(word))); err != nil {
			return nil, err
		}
	}
}

// report waits for a call that is not there yet.
func (w *words) report(ctx context.Context, _ *call, request []byte) ([]byte, error) {
	m, err := decodeOrRefuse(request)
	if err != nil {
		return nil, err
	}
	r := w.reportOf(m.text(1))
	awaited := r.begun
	if m.number(2) != 0 {
		awaited = r.ended
	}
	select {
	case <-awaited:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return appendString(appendNumber(nil, 1, r.sent), 2, r.end), nil
}

func (w *words) reportOf(name string) *report {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.reports[name]
	if r == nil {
		r = &report{begun: make(chan struct{}), ended: make(chan struct{})}
		w.reports[name] = r
	}
	return r
}

// begin is for a call of its own name; two of one name share the report of the first.
func (w *words) begin(name string) *report {
	r := w.reportOf(name)
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case <-r.begun:
		return &report{ended: make(chan struct{})}
	default:
		close(r.begun)
		return r
	}
}

func (w *words) finish(r *report, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err == nil:
		r.end = "ok"
	case errors.Is(err, context.DeadlineExceeded):
		r.end = "deadline_exceeded"
	case errors.Is(err, context.Canceled):
		r.end = "cancelled"
	default:
		r.end = fmt.Sprint(err)
	}
	close(r.ended)
}

func decodeOrRefuse(encoded []byte) (message, error) {
	m, err := decode(encoded)
	if err != nil {
		return nil, callErrorf("invalid_argument", "the message cannot be decoded: %v", err)
	}
	return m, nil
}

func textOf(encoded []byte) (string, error) {
	m, err := decodeOrRefuse(encoded)
	return m.text(1), err
}

func textMessage(value string) []byte { return appendString(nil, 1, value) }
