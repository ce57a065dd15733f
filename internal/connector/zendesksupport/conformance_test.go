package zendesksupport_test

import (
	"testing"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/company"
	"github.com/avow-consent/avow/internal/connector/conformance"
)

// The connector under every fault of every call, with tickets that are deleted.
func TestConformance(t *testing.T) {
	t.Parallel()
	conformance.Run(t, world(`"settle":"10m"`, company.Ines))
}

// The same for an erasure that redacts.
func TestConformance_redact(t *testing.T) {
	t.Parallel()
	findings, n := conformance.Check(t, world(redacting+`,"settle":"10m"`, company.Ines), connector.Erase)
	for _, f := range findings {
		t.Error(f)
	}
	t.Logf("%d schedules", n)
}
