// Command go-plugin-host is a host of go-plugin over gRPC: it starts a plugin and answers one job.
//
//	go-plugin-host JOB
package main

import (
	"context"
	"io"
	"os/exec"

	"bun-plug.bench/internal/gokv"
	"bun-plug.bench/internal/measure"
	"bun-plug.bench/internal/pb/bench"
	"bun-plug.bench/internal/pb/example"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

type subject struct {
	process *plugin.Client
	*gokv.Client
}

func main() {
	measure.Main(open)
}

func open(command []string) (measure.Subject, error) {
	process := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  gokv.Handshake,
		Plugins:          plugin.PluginSet{gokv.Name: &gokv.Plugin{}},
		Cmd:              exec.Command(command[0], command[1:]...),
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		Logger:           hclog.NewNullLogger(),
		GRPCDialOptions: []grpc.DialOption{grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(gokv.MaxMessageBytes), grpc.MaxCallSendMsgSize(gokv.MaxMessageBytes))},
	})
	protocol, err := process.Client()
	if err != nil {
		return nil, err
	}
	client, err := protocol.Dispense(gokv.Name)
	if err != nil {
		return nil, err
	}
	return &subject{process, client.(*gokv.Client)}, nil
}

func (s *subject) Transport() string { return "unix socket, HTTP/2" }

func (s *subject) Close() { s.process.Kill() }

func (s *subject) Get(ctx context.Context, key string) ([]byte, error) {
	response, err := s.KV.Get(ctx, &example.GetRequest{Key: key})
	return response.GetValue(), err
}

func (s *subject) Put(ctx context.Context, key string, value []byte) error {
	_, err := s.KV.Put(ctx, &example.PutRequest{Key: key, Value: value})
	return err
}

func (s *subject) Echo(ctx context.Context, data []byte) ([]byte, error) {
	element, err := s.Stream.Echo(ctx, &bench.Element{Data: data})
	return element.GetData(), err
}

func (s *subject) Produce(ctx context.Context, count, elementBytes int) (int, error) {
	stream, err := s.Stream.Produce(ctx,
		&bench.ProduceRequest{Count: uint32(count), ElementBytes: uint32(elementBytes)})
	if err != nil {
		return 0, err
	}
	return received(stream)
}

func (s *subject) Consume(ctx context.Context, count, elementBytes int) (int, error) {
	stream, err := s.Stream.Consume(ctx)
	if err != nil {
		return 0, err
	}
	if err := send(stream, count, elementBytes); err != nil {
		return 0, err
	}
	total, err := stream.CloseAndRecv()
	return int(total.GetCount()), err
}

func (s *subject) Exchange(ctx context.Context, count, elementBytes int) (int, error) {
	stream, err := s.Stream.Exchange(ctx)
	if err != nil {
		return 0, err
	}
	sent := make(chan error, 1)
	go func() {
		err := send(stream, count, elementBytes)
		if err == nil {
			err = stream.CloseSend()
		}
		sent <- err
	}()
	got, err := received(stream)
	if err == nil {
		err = <-sent
	}
	return got, err
}

func send(stream interface{ Send(*bench.Element) error }, count, elementBytes int) error {
	for range count {
		if err := stream.Send(&bench.Element{Data: make([]byte, elementBytes)}); err != nil {
			return err
		}
	}
	return nil
}

func received(stream interface {
	Recv() (*bench.Element, error)
}) (count int, err error) {
	for {
		if _, err := stream.Recv(); err == io.EOF {
			return count, nil
		} else if err != nil {
			return count, err
		}
		count++
	}
}
