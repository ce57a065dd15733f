package genesys

import (
	"maps"
	"slices"
	"strings"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/errs"
)

// regions are Genesys Cloud's, by the domain of their hosts, with whether they
// lie in the European Economic Area. London (euw2) and Zurich (euc2) do not.
var regions = map[string]bool{
	"mypurecloud.com": false, "mypurecloud.ie": true, "mypurecloud.de": true, "mypurecloud.com.au": false, "mypurecloud.jp": false,
	"usw2.pure.cloud": false, "cac1.pure.cloud": false, "apne2.pure.cloud": false, "apne3.pure.cloud": false, "apse1.pure.cloud": false,
	"aps1.pure.cloud": false, "sae1.pure.cloud": false, "mec1.pure.cloud": false, "mxc1.pure.cloud": false,
	"euw2.pure.cloud": false, "euc2.pure.cloud": false, "use2.us-gov-pure.cloud": false, "edee1.eusc-pure.cloud": true,
}

// checkRegion holds the host to what systems.json says of region and transfer:
// the record of processing must not call a transfer none.
func checkRegion(i connector.Inventory, region string) error {
	eea, known := regions[region]
	switch {
	case !known:
		return errs.New(errs.Invalid, "system %q: config.region must be one of %s", i.System, strings.Join(slices.Sorted(maps.Keys(regions)), ", "))
	case eea != i.EEA:
		return errs.New(errs.Invalid, "system %q: config.region %q is %s the European Economic Area, and region %q is not", i.System, region, map[bool]string{true: "in", false: "outside"}[eea], i.Region)
	case !eea && strings.TrimSpace(i.Transfer) == "":
		return errs.New(errs.Invalid, "system %q: config.region %q is outside the European Economic Area and transfer names no basis (Art. 44 to 49 GDPR)", i.System, region)
	}
	return nil
}
