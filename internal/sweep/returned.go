package sweep

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/letter"
	"github.com/avow-consent/avow/internal/redact"
	"github.com/avow-consent/avow/internal/request"
)

// returned is what SES says of a mail, as far as it is read.
// https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
type returned struct {
	Mail struct {
		MessageID string `json:"messageId"`
		Tags      struct {
			Request []string `json:"request"` // letter.Message.Request
		} `json:"tags"`
	} `json:"mail"`
	Bounce *struct {
		Type       string      `json:"bounceType"`
		Recipients []recipient `json:"bouncedRecipients"`
	} `json:"bounce"`
	Complaint *struct {
		Recipients []recipient `json:"complainedRecipients"`
	} `json:"complaint"`
}

type recipient struct {
	Address redact.String `json:"emailAddress"`
}

// gone are the addresses that get no more mail: those that do not exist, and
// those whose owners complain. Bounces that may pass, such as a full mailbox, and
// all other news of a mail change nothing.
func (r returned) gone() (list []recipient, reason string) {
	switch {
	case r.Complaint != nil:
		return r.Complaint.Recipients, "complaint"
	case r.Bounce != nil && r.Bounce.Type == "Permanent":
		return r.Bounce.Recipients, "bounce"
	}
	return nil, ""
}

// returned stops mail to addresses and tells the privacy office. Nothing of the
// event is logged but the request: it holds addresses.
func (s *sweeper) returned(ctx context.Context, e event) (Report, error) {
	var news returned
	if err := json.Unmarshal(e.Detail, &news); err != nil {
		return Report{}, errs.New(errs.Invalid, "an event of the mail service cannot be read")
	}
	var report Report
	list, reason := news.gone()
	for _, r := range list {
		if r.Address == "" {
			continue
		}
		if err := s.store.Suppress(ctx, s.hash(r.Address.Reveal()), reason, s.now().UTC()); err != nil {
			return report, err
		}
		report.Suppressed++
	}
	if report.Suppressed == 0 {
		return report, nil
	}
	id := ""
	if len(news.Mail.Tags.Request) == 1 {
		id = news.Mail.Tags.Request[0]
	}
	r, err := s.of(ctx, id)
	if err != nil {
		return report, err
	}
	if r == nil {
		s.log.WarnContext(ctx, "a mail came back", "event", "mail_returned", "kind", reason)
		return report, nil
	}
	s.log.WarnContext(ctx, "a mail came back", "event", "mail_returned", "kind", reason, "request", r.ID)
	v := &visit{sweeper: s, r: r, at: s.now().UTC()}
	return report, v.cameBack(ctx, news.Mail.MessageID, reason)
}

// of reads the request that a mail was about; nil when there is none.
func (s *sweeper) of(ctx context.Context, id string) (*request.Request, error) {
	if id == "" {
		return nil, nil
	}
	r, err := s.store.Get(ctx, id)
	if errs.Is(err, errs.NotFound) {
		return nil, nil
	}
	return r, err
}

// cameBack notes in the request that a letter did not arrive, and tells the
// privacy office, which can write to the person by other means.
func (v *visit) cameBack(ctx context.Context, message, reason string) error {
	as := *v.r
	entry, err := as.Do(request.Letter, request.Avow, "", v.at)
	if err != nil {
		return err
	}
	entry.From, entry.To, entry.Detail = v.r.State, v.r.State, map[string]string{"outcome": reason}
	err = v.store.Write(ctx, request.Change{Fence: &request.Fence{Request: v.r.ID, Epoch: v.r.Epoch}, Entries: []request.Entry{entry}})
	if err != nil || v.hearsay() {
		return err
	}
	sum := sha256.Sum256([]byte(message))
	return v.remind(ctx, letter.Undeliverable, "returned-"+hex.EncodeToString(sum[:8]), "")
}
