package settings

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/request"
)

// parseController reads who answers. Everything may be missing: a stack begins
// without, and Warnings name what letters need.
func parseController(text json.RawMessage) (request.Controller, error) {
	const where = "controller"
	c := request.Controller{TimeZone: "UTC", LegalNotice: "privacy_policy"}
	if err := strict(where, text, &c); err != nil {
		return c, err
	}
	if len(text) > 0 {
		fields, err := object(where, text)
		if err != nil {
			return c, err
		}
		if err := strict(where+".dpo", fields["dpo"], &c.DPO); err != nil {
			return c, err
		}
	}
	if c.TimeZone == "Local" { // of the machine, which says nothing
		c.TimeZone = ""
	}
	if _, err := time.LoadLocation(c.TimeZone); err != nil || c.TimeZone == "" {
		return c, say(where, "time_zone %q is no IANA time zone such as Europe/Paris", c.TimeZone)
	}
	if c.From != "" {
		if err := address(where, "from", c.From); err != nil {
			return c, err
		}
	}
	if c.DPO.Email != "" {
		if err := address(where, "dpo.email", c.DPO.Email); err != nil {
			return c, err
		}
	}
	if c.BaseURL != "" {
		if err := WebAddress(where, "base_url", c.BaseURL); err != nil {
			return c, err
		}
	}
	for language, at := range c.Notice {
		if err := WebAddress(where, "privacy_notice."+language, at); err != nil {
			return c, err
		}
	}
	for i, day := range c.Holidays {
		if err := date(where, fmt.Sprintf("holidays[%d]", i), day); err != nil {
			return c, err
		}
	}
	return c, texts(where, map[string]connector.Text{"authority": c.Authority, "privacy_notice": c.Notice})
}
