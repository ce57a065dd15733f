package connector_test

import (
	"testing"

	"github.com/avow-consent/avow/internal/connector"
)

// A company that states a legal basis keeps all that the connector knows of its data;
// what a category states itself stays.
func TestInventory_basis(t *testing.T) {
	t.Parallel()
	text := func(s string) connector.Text { return connector.Text{"en": s} }
	known := connector.Inventory{Data: []connector.Category{
		{Name: text("calls"), Purpose: text("service"), Retention: text("365 days")},
		{Name: text("proofs"), Purpose: text("proof"), Retention: text("a year"), Basis: text("Art. 6(1)(c)")},
	}}
	got := connector.Inventory{Basis: text("Art. 6(1)(b)")}.Complete(known).Data
	if len(got) != 2 || got[0].Basis.In("en") != "Art. 6(1)(b)" || got[0].Retention.In("en") != "365 days" || got[1].Basis.In("en") != "Art. 6(1)(c)" {
		t.Errorf("%+v", got)
	}
	if known.Data[0].Basis != nil {
		t.Error("what the connector knows was changed, for every system of its kind")
	}
	own := connector.Inventory{Basis: text("Art. 6(1)(b)"), Data: []connector.Category{{Name: text("letters")}}}
	if got := own.Complete(known).Data; len(got) != 1 || got[0].Basis.In("en") != "Art. 6(1)(b)" {
		t.Errorf("%+v", got)
	}
	if got := (connector.Inventory{}).Complete(known).Data; got[0].Basis != nil {
		t.Errorf("a basis that nobody has stated: %+v", got)
	}
}
