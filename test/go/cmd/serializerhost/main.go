// Command serializerhost loads a Serializer plugin with the Go original's own
// code and checks it step by step; package report says how it is called.
package main

import (
	"fmt"

	"bun-plug.test/go/internal/report"
	"github.com/elliotmr/plug/example"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func main() {
	run := report.Start()
	serializer := report.Load(run, example.LoadSerializer)

	run.Step("answer", func(f report.Fields) error {
		data, err := marshal(serializer, map[string]proto.Message{
			"question": wrapperspb.String("what is the meaning of life?"),
			"answer":   wrapperspb.UInt32(42),
		})
		f["data"] = data
		if err != nil {
			return err
		}
		return report.Check("data", data, `{"answer":{"value":42},"question":{"value":"what is the meaning of life?"}}`)
	})
	run.Step("empty", func(report.Fields) error {
		data, err := marshal(serializer, nil)
		if err != nil {
			return err
		}
		return report.Check("data", data, `{}`)
	})
	count := func(i int) error {
		data, err := marshal(serializer, map[string]proto.Message{"n": wrapperspb.UInt32(uint32(i) + 1)})
		if err != nil {
			return err
		}
		return report.Check("data", data, fmt.Sprintf(`{"n":{"value":%d}}`, i+1))
	}
	run.Step("calls", func(f report.Fields) error {
		f["calls"] = run.Calls()
		for i := range run.Calls() {
			if err := count(i); err != nil {
				return fmt.Errorf("call %d: %w", i, err)
			}
		}
		return nil
	})
	run.Concurrently(count)
	run.Fails("unknown type", func() error {
		_, err := serializer.Marshal(map[string]*anypb.Any{"a": {TypeUrl: "type.googleapis.com/no.such.Type"}})
		return err
	})
	run.End(func() {
		for i := 0; ; i++ {
			count(i)
		}
	})
}

func marshal(serializer example.Serializer, values map[string]proto.Message) (string, error) {
	packed := make(map[string]*anypb.Any, len(values))
	for key, value := range values {
		var err error
		if packed[key], err = anypb.New(value); err != nil {
			return "", err
		}
	}
	data, err := serializer.Marshal(packed)
	return string(data), err
}
