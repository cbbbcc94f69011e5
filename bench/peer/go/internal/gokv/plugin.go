// Package gokv is what the host and the plugin of go-plugin agree on.
package gokv

import (
	"context"
	"errors"

	"bun-plug.bench/internal/pb/bench"
	"bun-plug.bench/internal/pb/example"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

// Name is the plugin's name in the set.
const Name = "kv"

// MaxMessageBytes is more than any case sends; gRPC allows 4 MiB otherwise.
const MaxMessageBytes = 256 << 20

// Handshake is what both sides must know.
var Handshake = plugin.HandshakeConfig{
	ProtocolVersion:  1,
	MagicCookieKey:   "BUN_PLUG_BENCH",
	MagicCookieValue: "kv",
}

// Client is both services, seen by the host.
type Client struct {
	KV     example.KVClient
	Stream bench.StreamClient
}

// Plugin makes both ends. The host leaves the servers empty.
type Plugin struct {
	plugin.NetRPCUnsupportedPlugin
	KV     example.KVServer
	Stream bench.StreamServer
}

// GRPCServer is called in the plugin.
func (p *Plugin) GRPCServer(_ *plugin.GRPCBroker, server *grpc.Server) error {
	if p.KV == nil || p.Stream == nil {
		return errors.New("this end has no servers")
	}
	example.RegisterKVServer(server, p.KV)
	bench.RegisterStreamServer(server, p.Stream)
	return nil
}

// GRPCClient is called in the host.
func (p *Plugin) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, connection *grpc.ClientConn) (any, error) {
	return &Client{KV: example.NewKVClient(connection), Stream: bench.NewStreamClient(connection)}, nil
}
