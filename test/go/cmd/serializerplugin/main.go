// Command serializerplugin does what the Go original's example/serializer does,
// and knows the wrapper types. That one links only the types of its own
// example.proto, so it answers "proto: not found" to the very question that
// its test asks; the test passes because it links the wrappers itself.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/elliotmr/plug/example"
	"google.golang.org/protobuf/types/known/anypb"
	_ "google.golang.org/protobuf/types/known/wrapperspb"
)

type serializer struct{}

func (serializer) Marshal(data map[string]*anypb.Any) ([]byte, error) {
	values := make(map[string]any, len(data))
	for key, packed := range data {
		value, err := packed.UnmarshalNew()
		if err != nil {
			return nil, fmt.Errorf("failed to unmarshal any: %w", err)
		}
		values[key] = value
	}
	return json.Marshal(values)
}

func main() {
	if err := example.RunSerializer(serializer{}); err != nil {
		fmt.Fprintln(os.Stderr, "serializerplugin:", err)
		os.Exit(1)
	}
}
