// The token that a client shows, and whom it trusts: from options, else from the variables that all clients know.

package imagestorage

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
)

// secured returns the address, without https://, which means TLS, and settings with the token and the roots of the
// variables where no option gave any.
func (s settings) secured(address string) (string, settings, error) {
	if rest, found := strings.CutPrefix(address, "https://"); found {
		rest = strings.TrimSuffix(rest, "/")
		if rest == "" || strings.ContainsAny(rest, "/@?#") {
			return "", s, noAddress(address)
		}
		address = rest
		if !isHostAndPort(address) {
			address += ":443"
		}
		if s.tls == nil {
			s.tls = &tls.Config{}
		}
	}
	if s.tls != nil && s.tls.RootCAs == nil {
		roots, err := rootsOfVariable()
		if err != nil {
			return "", s, err
		}
		s.tls = s.tls.Clone()
		s.tls.RootCAs = roots
	}
	if !isSocket(address) && !isHostAndPort(address) {
		return "", s, noAddress(address)
	}
	token, err := s.tokenOrVariable()
	if err != nil {
		return "", s, err
	}
	s.token = &token
	if token != "" && s.tls == nil && !s.allowPlaintextToken && !isLocal(address) {
		return "", s, &Error{Code: codes.FailedPrecondition, Reason: "TOKEN_IN_PLAINTEXT", Message: fmt.Sprintf(
			"the token would reach %s without encryption: use https://%s, or WithPlaintextTokenAllowed", address, address)}
	}
	return address, s, nil
}

func rootsOfVariable() (*x509.CertPool, error) {
	file := os.Getenv("IMAGE_STORAGE_CA_FILE")
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("imagestorage: IMAGE_STORAGE_CA_FILE: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("imagestorage: IMAGE_STORAGE_CA_FILE: %s has no certificate in PEM", file)
	}
	return roots, nil
}

func (s settings) tokenOrVariable() (string, error) {
	if s.token != nil {
		return *s.token, nil
	}
	file := os.Getenv("IMAGE_STORAGE_TOKEN_FILE")
	if token := os.Getenv("IMAGE_STORAGE_TOKEN"); token != "" || file == "" {
		return token, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("imagestorage: IMAGE_STORAGE_TOKEN_FILE: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

func isLocal(address string) bool {
	if isSocket(address) {
		return true
	}
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

// The token is metadata of each call: the gRPC library refuses call credentials without TLS, also to the own machine.
func (s settings) tokenOptions() []grpc.DialOption {
	if *s.token == "" {
		return nil
	}
	withToken := func(ctx context.Context) context.Context {
		return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+*s.token)
	}
	return []grpc.DialOption{
		grpc.WithUnaryInterceptor(func(ctx context.Context, method string, request, reply any, connection *grpc.ClientConn,
			invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			return invoke(withToken(ctx), method, request, reply, connection, opts...)
		}),
		grpc.WithStreamInterceptor(func(ctx context.Context, description *grpc.StreamDesc, connection *grpc.ClientConn,
			method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			return open(withToken(ctx), description, connection, method, opts...)
		}),
	}
}
