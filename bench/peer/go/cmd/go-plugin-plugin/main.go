// Command go-plugin-plugin is a plugin of go-plugin over gRPC.
package main

import (
	"context"
	"fmt"
	"io"
	"sync"

	"bun-plug.bench/internal/gokv"
	"bun-plug.bench/internal/measure"
	"bun-plug.bench/internal/pb/bench"
	"bun-plug.bench/internal/pb/example"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

type kv struct {
	example.UnimplementedKVServer
	mutex  sync.RWMutex
	values map[string][]byte
}

func (s *kv) Get(_ context.Context, request *example.GetRequest) (*example.GetResponse, error) {
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	value, ok := s.values[request.Key]
	if !ok {
		return nil, fmt.Errorf("key [%s] not in database", request.Key)
	}
	return &example.GetResponse{Value: value}, nil
}

func (s *kv) Put(_ context.Context, request *example.PutRequest) (*example.Empty, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.values[request.Key] = request.Value
	return &example.Empty{}, nil
}

type stream struct {
	bench.UnimplementedStreamServer
}

func (stream) Echo(_ context.Context, element *bench.Element) (*bench.Element, error) {
	return element, nil
}

func (stream) Produce(request *bench.ProduceRequest, out grpc.ServerStreamingServer[bench.Element]) error {
	for range request.Count {
		if err := out.Send(&bench.Element{Data: make([]byte, request.ElementBytes)}); err != nil {
			return err
		}
	}
	return nil
}

func (stream) Consume(in grpc.ClientStreamingServer[bench.Element, bench.Total]) error {
	for count := uint32(0); ; count++ {
		if _, err := in.Recv(); err == io.EOF {
			return in.SendAndClose(&bench.Total{Count: count})
		} else if err != nil {
			return err
		}
	}
}

func (stream) Exchange(both grpc.BidiStreamingServer[bench.Element, bench.Element]) error {
	for {
		element, err := both.Recv()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = both.Send(element)
		}
		if err != nil {
			return err
		}
	}
}

func main() {
	servers := &gokv.Plugin{
		KV:     &kv{values: map[string][]byte{measure.SmallKey: measure.SmallValue()}},
		Stream: stream{},
	}
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: gokv.Handshake,
		Plugins:         plugin.PluginSet{gokv.Name: servers},
		GRPCServer: func(options []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(options,
				grpc.MaxRecvMsgSize(gokv.MaxMessageBytes), grpc.MaxSendMsgSize(gokv.MaxMessageBytes))...)
		},
	})
}
