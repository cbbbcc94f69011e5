module bun-plug.test/go

go 1.24

require (
	github.com/elliotmr/plug v0.0.3
	google.golang.org/protobuf v1.36.6
)

require github.com/golang/protobuf v1.5.4 // indirect

tool (
	github.com/elliotmr/plug/cmd/protoc-gen-plug
	google.golang.org/protobuf/cmd/protoc-gen-go
)
