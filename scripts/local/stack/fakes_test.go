package stack

import (
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/connector/fakekit"
)

type vendor struct {
	*fakekit.Server
	data struct{ N int }
}

func newVendor() *vendor {
	v := &vendor{}
	v.Server = fakekit.New(fakekit.Options{}, fakekit.Rules{Data: &v.data})
	v.API("POST /n", func(*http.Request) (int, any) { v.data.N++; return 200, nil })
	return v
}

// A vendor remembers what was done over a clean stop and over a kill, and
// begins anew where its state cannot be read.
func TestRestore(t *testing.T) {
	t.Parallel()
	local := paths(t.TempDir())
	serve := func(v *vendor) { v.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/n", nil)) }
	first := newVendor()
	running := restore(local, map[string]Fake{"desk": first})
	serve(first)
	running.stop()

	second := newVendor()
	killed := restore(local, map[string]Fake{"desk": second})
	t.Cleanup(killed.stop)
	serve(second)
	seen := func() int {
		v := newVendor()
		text, err := os.ReadFile(local.fake("desk"))
		if err != nil || v.Restore(text) != nil {
			t.Fatal("what is kept cannot be read")
		}
		return v.data.N
	}
	for deadline := time.Now().Add(time.Minute); seen() != 2; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("a kill loses it: %d", seen())
		}
	}

	if err := os.WriteFile(local.fake("other"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	third := newVendor()
	restore(local, map[string]Fake{"other": third}).stop()
	if third.data.N != 0 {
		t.Errorf("%+v", third.data)
	}
}
