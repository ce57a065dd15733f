package kit

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/avow-consent/avow/internal/connector"
)

// System is what a vendor's connector is built from. Inventory, Config, Secret
// and Now are needed.
type System struct {
	Inventory connector.Inventory // what systems.json says; the connector adds to it
	Config    json.RawMessage     // the system's "config": docs/connectors has a page for each kind
	// Secret reads the system's credentials.
	Secret    func(ctx context.Context) ([]byte, error)
	Now       func() time.Time
	Transport http.RoundTripper // nil: NewTransport
	Kit       Options           // attempts and pauses, for tests; its other fields are not used
}
