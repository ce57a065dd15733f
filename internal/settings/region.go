package settings

import (
	"slices"
	"strings"

	"github.com/avow-consent/avow/internal/request"
)

// eea are the countries where the GDPR is law, the Union as a whole, and the
// AWS regions that lie in it. London and Zurich do not.
var eea = append(request.Regimes()[request.GDPR].Residence, "EU", "EEA",
	"EU-CENTRAL-1", "EU-NORTH-1", "EU-SOUTH-1", "EU-SOUTH-2", "EU-WEST-1", "EU-WEST-3", "EUSC-DE-EAST-1")

// InEEA reports whether a country or region lies in the European Economic Area.
// What is not known does not.
func InEEA(region string) bool { return slices.Contains(eea, strings.ToUpper(region)) }
