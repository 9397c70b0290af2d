// Tokens and TLS: where they come from, and where a token does not go.

package imagestorage_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/metadata"

	imagestorage "github.com/imagestorage/imagestorage/clients/go"
	pb "github.com/imagestorage/imagestorage/clients/go/imagestoragev1"
)

func TestKeepsItsTokenFromTheNetworkWithoutTLS(t *testing.T) {
	_, err := imagestorage.Dial("10.0.0.7:50051", imagestorage.WithToken("sesame"))
	var refused *imagestorage.Error
	if !errors.As(err, &refused) || refused.Reason != "TOKEN_IN_PLAINTEXT" || strings.Contains(err.Error(), "sesame") {
		t.Errorf("got %v", err)
	}
	for _, address := range []string{"127.0.0.1:1", "[::1]:1", "localhost:1", "unix:/a", "https://10.0.0.7", "https://a:1/"} {
		if _, err := imagestorage.Dial(address, imagestorage.WithToken("sesame")); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
	allowed := imagestorage.WithPlaintextTokenAllowed()
	if _, err := imagestorage.Dial("10.0.0.7:50051", imagestorage.WithToken("sesame"), allowed); err != nil {
		t.Error(err)
	}
}

func TestRefusesWhatIsNoAddressOfTLS(t *testing.T) {
	for _, address := range []string{"https://", "https://a/b", "http://a"} {
		if _, err := imagestorage.Dial(address); err == nil {
			t.Errorf("%s was taken", address)
		}
	}
}

func TestSendsTheTokenOfTheVariables(t *testing.T) {
	var authorization []string
	address := startScripted(t, scripted{save: func(stream saveStream) error {
		received(stream)
		authorization = metadata.ValueFromIncomingContext(stream.Context(), "authorization")
		return stream.SendAndClose(&pb.SaveResponse{Image: &pb.Image{}})
	}})
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("of-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("IMAGE_STORAGE_TOKEN_FILE", file)
	sends := func(token string, opts ...imagestorage.DialOption) {
		t.Helper()
		save(t, dial(t, address, opts...), png(0))
		if !slices.Equal(authorization, []string{"Bearer " + token}) {
			t.Errorf("authorization %q, not %q", authorization, token)
		}
	}
	sends("of-file")
	t.Setenv("IMAGE_STORAGE_TOKEN", "of-variable")
	sends("of-variable")
	sends("own", imagestorage.WithToken("own"))
}
