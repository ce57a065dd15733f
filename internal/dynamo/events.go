// Package dynamo keeps the ledger and what belongs to it in DynamoDB. Each file
// is one table; every write states its condition.
package dynamo

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/avow-consent/avow/internal/cloud"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/redact"
)

// Events is the ledger.
type Events struct {
	client *client
	table  string
}

var (
	_ consent.Appender = (*Events)(nil)
	_ consent.Reader   = (*Events)(nil)
	_ consent.Pager    = (*Events)(nil)
	_ consent.Eraser   = (*Events)(nil)
)

// NewEvents returns the ledger in the given table.
func NewEvents(cfg aws.Config, table string) *Events {
	return &Events{client: newClient(cfg), table: table}
}

// Append implements consent.Appender.
func (s *Events) Append(ctx context.Context, e *consent.Event) (*consent.Event, error) {
	row := encodeEvent(e)
	if size := itemSize(row); size > consent.MaxItem {
		return nil, errs.New(errs.TooLarge, "the consent takes more than %d bytes as it is stored", consent.MaxItem)
	}
	old, err := s.put(ctx, row)
	if err != nil || old == nil {
		return nil, err
	}
	return decodeEvent(old)
}

// Bind implements consent.Appender. Where an erasure has left a tombstone, the
// binding of a fresh consent stands beside it.
func (s *Events) Bind(ctx context.Context, b *consent.Binding) error {
	const erasures = 100 // of one person
	sort := bindingSort(b)
	for range erasures {
		row := item{
			"subject":   text(b.Own),
			"id":        text(sort),
			"site":      text(b.Site),
			"subjectId": text(b.SubjectID.Reveal()),
			"received":  millis(b.At),
			"keyId":     text(b.KeyID),
		}
		row.setText("email", b.Email.Reveal())
		row.setText("phone", b.Phone.Reveal())
		old, err := s.put(ctx, row)
		if err != nil || old == nil || old["erased_at"] == nil {
			return err
		}
		next := bindingAgain(b, getTime(old, "erased_at"))
		if strings.HasPrefix(sort, next) { // erased twice until the same instant
			next = sort + "+"
		}
		sort = next
	}
	return errs.New(errs.Internal, "a binding has been erased too often")
}

// Bury implements consent.Eraser. It is the only place that changes a row, and a
// tombstone is the only thing that it can leave.
func (s *Events) Bury(ctx context.Context, subject, sort, site string, at time.Time) error {
	_, err := s.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &s.table,
		Item: item{
			"subject":   text(subject),
			"id":        text(sort),
			"site":      text(site),
			"erased_at": millis(at),
		},
		ConditionExpression: aws.String("attribute_exists(id) AND attribute_not_exists(erased_at)"),
	})
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return nil
	}
	return cloud.Fault("dynamodb PutItem", err)
}

// Page implements consent.Pager.
func (s *Events) Page(ctx context.Context, subject, after string, limit int) ([]consent.Row, string, error) {
	in := &dynamodb.QueryInput{
		TableName:                 &s.table,
		ConsistentRead:            aws.Bool(true),
		KeyConditionExpression:    aws.String("subject = :s"),
		ExpressionAttributeValues: item{":s": text(subject)},
		Limit:                     aws.Int32(int32(limit)),
	}
	if after != "" {
		in.ExclusiveStartKey = item{"subject": text(subject), "id": text(after)}
	}
	out, err := s.client.Query(ctx, in)
	if err != nil {
		return nil, "", cloud.Fault("dynamodb Query", err)
	}
	rows := make([]consent.Row, len(out.Items))
	for i, row := range out.Items {
		rows[i] = decodeRow(row)
	}
	return rows, getText(out.LastEvaluatedKey, "id"), nil
}

// decodeRow reads a row as far as it can be read.
func decodeRow(row item) consent.Row {
	r := consent.Row{Sort: getText(row, "id"), Form: consent.RowConsent, Erased: row["erased_at"] != nil, Said: getTime(row, "received")}
	switch {
	case strings.HasPrefix(r.Sort, subjectEventPrefix):
		r.Form = consent.RowStatement
	case strings.HasPrefix(r.Sort, bindingPrefix):
		r.Form = consent.RowBinding
	}
	if r.Erased {
		r.ErasedAt = getTime(row, "erased_at")
		return r
	}
	var rows consent.Rows
	switch err := addRow(&rows, row); {
	case err != nil:
		if at := consent.IDTime(strings.TrimPrefix(r.Sort, subjectEventPrefix)); !at.IsZero() {
			r.Said = at
		}
	case len(rows.Bindings) > 0:
		r.Binding = &rows.Bindings[0]
	default:
		r.Event = &rows.Events[0]
		r.Said = r.Event.Said()
	}
	return r
}

// put is the only place that puts a row into the ledger. The row that stands in
// the way comes back.
func (s *Events) put(ctx context.Context, row item) (old item, err error) {
	_, err = s.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName:                           &s.table,
		Item:                                row,
		ConditionExpression:                 aws.String("attribute_not_exists(id)"),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	var failed *types.ConditionalCheckFailedException
	if errors.As(err, &failed) {
		return failed.Item, nil
	}
	return nil, cloud.Fault("dynamodb PutItem", err)
}

// Partition implements consent.Reader.
func (s *Events) Partition(ctx context.Context, subject string, limit int) (consent.Rows, error) {
	var rows consent.Rows
	pages := dynamodb.NewQueryPaginator(s.client, &dynamodb.QueryInput{
		TableName:                 &s.table,
		ConsistentRead:            aws.Bool(true),
		KeyConditionExpression:    aws.String("subject = :s"),
		ExpressionAttributeValues: item{":s": text(subject)},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return consent.Rows{}, cloud.Fault("dynamodb Query", err)
		}
		for _, row := range page.Items {
			if rows.Bytes += itemSize(row); rows.Bytes > limit {
				return rows, consent.ErrTooManyEvents
			}
			if err := addRow(&rows, row); err != nil {
				return consent.Rows{}, err
			}
		}
	}
	return rows, nil
}

func addRow(rows *consent.Rows, row item) error {
	if subject, ok := BoundSubject(getText(row, "id")); ok {
		if row["erased_at"] != nil {
			return nil
		}
		rows.Bindings = append(rows.Bindings, consent.Binding{
			Site:      getText(row, "site"),
			Own:       getText(row, "subject"),
			Subject:   subject,
			SubjectID: redact.String(getText(row, "subjectId")),
			Email:     redact.String(getText(row, "email")),
			Phone:     redact.String(getText(row, "phone")),
			At:        getTime(row, "received"),
			KeyID:     getText(row, "keyId"),
		})
		return nil
	}
	e, err := decodeEvent(row)
	if err == nil {
		rows.Events = append(rows.Events, *e)
	}
	return err
}

// Get reads one consent consistently. nil means that there is none.
func (s *Events) Get(ctx context.Context, subject, id string) (*consent.Event, error) {
	out, err := s.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName:      &s.table,
		ConsistentRead: aws.Bool(true),
		Key:            item{"subject": text(subject), "id": text(id)},
	})
	if err != nil || out.Item == nil {
		return nil, cloud.Fault("dynamodb GetItem", err)
	}
	return decodeEvent(out.Item)
}

// Locate finds, in the listing index, the partition that holds a consent. ""
// means that the index does not know it (yet).
func (s *Events) Locate(ctx context.Context, site, id string, shards int) (subject string, err error) {
	out, err := s.client.Query(ctx, &dynamodb.QueryInput{
		TableName:              &s.table,
		IndexName:              aws.String("Listing"),
		KeyConditionExpression: aws.String("listing = :l AND id = :i"),
		ExpressionAttributeValues: item{
			":l": text(listing(site, id, shards)),
			":i": text(id),
		},
	})
	if err != nil || len(out.Items) == 0 {
		return "", cloud.Fault("dynamodb Query", err)
	}
	return getText(out.Items[0], "subject"), nil
}

// LastOf reads the latest consent of a subject, by the time of its id. nil means
// that there is none.
func (s *Events) LastOf(ctx context.Context, subject string) (*consent.Event, error) {
	list, err := s.ListSubject(ctx, subject, consent.Range{}, 1)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

// Known reports whether the ledger holds anything about a subject.
func (s *Events) Known(ctx context.Context, subject string) (bool, error) {
	out, err := s.client.Query(ctx, &dynamodb.QueryInput{
		TableName:                 &s.table,
		ConsistentRead:            aws.Bool(true),
		KeyConditionExpression:    aws.String("subject = :s"),
		ExpressionAttributeValues: item{":s": text(subject)},
		Limit:                     aws.Int32(1),
	})
	return err == nil && len(out.Items) > 0, cloud.Fault("dynamodb Query", err)
}

// bounds are the lowest and highest text that a range allows an id to be.
func bounds(r consent.Range) (low, high string) {
	low, high = "0", afterConsents
	if !r.From.IsZero() {
		low = idFloor(r.From)
	}
	if !r.To.IsZero() {
		high = idFloor(r.To.Truncate(time.Millisecond).Add(time.Millisecond))
	}
	if r.Before != "" && r.Before < high {
		// The highest text below an id: its last digit one less, then anything.
		last := len(r.Before) - 1
		high = r.Before[:last] + string(r.Before[last]-1) + "~"
	}
	return low, high
}

// idFloor is a text that sorts before every UUIDv7 of time t and after every
// earlier one.
func idFloor(t time.Time) string {
	const hexDigits = "0123456789abcdef"
	ms := uint64(max(0, t.UnixMilli()))
	b := make([]byte, 0, 13)
	for shift := 44; shift >= 0; shift -= 4 {
		if shift == 12 {
			b = append(b, '-')
		}
		b = append(b, hexDigits[ms>>shift&15])
	}
	return string(b)
}

// ListSubject reads up to limit consents of one subject, newest first, from the
// subject's own partition (consistently).
func (s *Events) ListSubject(ctx context.Context, subject string, r consent.Range, limit int) ([]consent.Event, error) {
	return s.list(ctx, &dynamodb.QueryInput{
		ConsistentRead:            aws.Bool(true),
		KeyConditionExpression:    aws.String("subject = :s AND id BETWEEN :low AND :high"),
		ExpressionAttributeValues: item{":s": text(subject)},
	}, r, limit)
}

// ListShard reads up to limit consents of one shard of a month, newest first,
// from the listing index, which may lag. The events hold what a list shows, no
// more.
func (s *Events) ListShard(ctx context.Context, site, month string, shard int, r consent.Range, limit int) ([]consent.Event, error) {
	return s.list(ctx, &dynamodb.QueryInput{
		IndexName:                 aws.String("Listing"),
		KeyConditionExpression:    aws.String("listing = :l AND id BETWEEN :low AND :high"),
		ExpressionAttributeValues: item{":l": text(listingShard(site, month, shard))},
	}, r, limit)
}

func (s *Events) list(ctx context.Context, in *dynamodb.QueryInput, r consent.Range, limit int) ([]consent.Event, error) {
	low, high := bounds(r)
	if low > high {
		return nil, nil
	}
	in.TableName = &s.table
	in.ExpressionAttributeValues[":low"], in.ExpressionAttributeValues[":high"] = text(low), text(high)
	in.ScanIndexForward = aws.Bool(false)
	in.Limit = aws.Int32(int32(limit))
	var list []consent.Event
	pages := dynamodb.NewQueryPaginator(s.client, in)
	for pages.HasMorePages() && len(list) < limit {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, cloud.Fault("dynamodb Query", err)
		}
		for _, row := range page.Items {
			e, err := decodeEvent(row)
			if err != nil {
				return nil, err
			}
			if e.ErasedAt == nil && len(list) < limit {
				list = append(list, *e)
			}
		}
	}
	return list, nil
}

// Walk calls f with the partition of every row of the ledger, in no order and
// with repetitions: what a rebuild starts from.
func (s *Events) Walk(ctx context.Context, f func(site, subject string) error) error {
	pages := dynamodb.NewScanPaginator(s.client, &dynamodb.ScanInput{
		TableName: &s.table, ConsistentRead: aws.Bool(true),
		ProjectionExpression: aws.String("subject, site"),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return cloud.Fault("dynamodb Scan", err)
		}
		for _, row := range page.Items {
			if err := f(getText(row, "site"), getText(row, "subject")); err != nil {
				return err
			}
		}
	}
	return nil
}

// The parts of an event that are kept as JSON text, with short names: they are
// paid for with every write.
type (
	storedText struct {
		Value string `json:"v,omitempty"`
		Null  bool   `json:"n,omitempty"`
	}
	storedProfile struct {
		Email     *storedText   `json:"e,omitempty"`
		FirstName *storedText   `json:"f,omitempty"`
		LastName  *storedText   `json:"l,omitempty"`
		FullName  *storedText   `json:"n,omitempty"`
		Verified  *storedFlag   `json:"v,omitempty"`
		Phones    *storedPhones `json:"p,omitempty"`
	}
	storedFlag struct {
		Value bool `json:"v,omitempty"`
		Null  bool `json:"n,omitempty"`
	}
	storedPhones struct {
		List []storedPhone `json:"p,omitempty"`
		Null bool          `json:"n,omitempty"`
	}
	storedPhone struct {
		Number string `json:"n"`
		Label  string `json:"l,omitempty"`
	}
	storedNotice struct {
		Identifier string `json:"i"`
		Version    string `json:"v,omitempty"`
	}
	storedProof struct {
		HasContent    bool   `json:"h,omitempty"`
		Content       string `json:"c,omitempty"`
		ContentDigest string `json:"d,omitempty"`
		ContentBytes  int    `json:"b,omitempty"`
		FormDigest    string `json:"f,omitempty"`
		FormNonce     string `json:"n,omitempty"`
		FormBytes     int    `json:"s,omitempty"`
	}
	storedPreference struct {
		Key   string          `json:"k"`
		Value json.RawMessage `json:"v"`
	}
	storedOptIn struct {
		Channel  string `json:"c"`
		Address  string `json:"a"`
		Language string `json:"l,omitempty"`
		Until    int64  `json:"u"` // milliseconds, as every time below
	}
	storedConfirmation struct {
		Consent  string        `json:"i"`
		At       int64         `json:"a"`
		Received int64         `json:"r"`
		Until    int64         `json:"u"`
		Message  storedMessage `json:"m"`
	}
	storedMessage struct {
		Channel         string   `json:"c"`
		Language        string   `json:"l,omitempty"`
		Wording         string   `json:"w"`
		Template        string   `json:"t,omitempty"`
		TemplateVersion string   `json:"v,omitempty"`
		IDs             []string `json:"i,omitempty"`
		SentAt          int64    `json:"s"`
		AnsweredAt      int64    `json:"n"`
		Answer          string   `json:"a,omitempty"`
	}
)

func encodeEvent(e *consent.Event) item {
	row := item{
		"subject":   text(e.Subject),
		"id":        text(eventSort(e)),
		"kind":      text(string(e.Kind)),
		"site":      text(e.Site),
		"subjectId": text(e.SubjectID.Reveal()),
		"keyId":     text(e.KeyID),
		"source":    text(string(e.Source)),
		"act":       text(string(e.Act)),
		"claimed":   millis(e.Claimed),
		"received":  millis(e.Received),
		"request":   &types.AttributeValueMemberB{Value: e.Request[:]},
	}
	if e.Kind == consent.KindConsent {
		row["listing"] = text(listing(e.Site, e.ID, e.Shards))
	}
	row.setTime("corrected", e.Corrected)
	row.setTime("sentAt", e.SentAt)
	row.setTime("deviceTime", e.DeviceTime)
	row.setTime("expiresAt", e.ExpiresAt)
	row.setText("ip", e.IP.Reveal())
	row.setText("consentType", e.ConsentType)
	row.setText("token", string(e.Token))
	if e.GPC {
		row["gpc"] = &types.AttributeValueMemberBOOL{Value: true}
	}
	for name, set := range map[string]bool{"undated": e.Undated, "all": e.All, "lifted": e.Lifted} {
		if set {
			row[name] = &types.AttributeValueMemberBOOL{Value: true}
		}
	}
	row.setText("case", e.Case)
	if e.Profile != (consent.Profile{}) {
		row.setJSON("profile", encodeProfile(&e.Profile))
	}
	if len(e.Preferences) > 0 {
		list := make([]storedPreference, len(e.Preferences))
		for i, p := range e.Preferences {
			list[i] = storedPreference{p.Key, json.RawMessage(p.Value)}
		}
		row.setJSON("preferences", list)
	}
	if len(e.LegalNotices) > 0 {
		list := make([]storedNotice, len(e.LegalNotices))
		for i, n := range e.LegalNotices {
			list[i] = storedNotice(n)
		}
		row.setJSON("notices", list)
	}
	if len(e.Proofs) > 0 {
		list := make([]storedProof, len(e.Proofs))
		for i, p := range e.Proofs {
			list[i] = storedProof{p.HasContent, p.Content.Reveal(), p.ContentDigest, p.ContentBytes, p.FormDigest, p.FormNonce, p.FormBytes}
		}
		row.setJSON("proofs", list)
	}
	row.setList("objected", e.Objected)
	row.setList("documents", e.DocumentIDs)
	if o := e.OptIn; o != nil {
		row.setJSON("optIn", storedOptIn{string(o.Channel), o.Address.Reveal(), o.Language, o.Until.UnixMilli()})
	}
	if c := e.Confirms; c != nil {
		row.setJSON("confirms", encodeConfirmation(c))
	}
	return row
}

func encodeConfirmation(c *consent.Confirmation) storedConfirmation {
	return storedConfirmation{c.Consent, c.At.UnixMilli(), c.Received.UnixMilli(), c.Until.UnixMilli(), encodeMessage(&c.Message)}
}

func (c *storedConfirmation) decode() *consent.Confirmation {
	return &consent.Confirmation{
		Consent: c.Consent, At: fromMillis(c.At), Received: fromMillis(c.Received), Until: fromMillis(c.Until), Message: c.Message.decode(),
	}
}

func encodeMessage(m *consent.Message) storedMessage {
	return storedMessage{
		string(m.Channel), m.Language, m.Wording.Reveal(), m.Template, m.TemplateVersion, m.IDs,
		m.SentAt.UnixMilli(), m.AnsweredAt.UnixMilli(), m.Answer.Reveal(),
	}
}

func (m *storedMessage) decode() consent.Message {
	return consent.Message{
		Channel: consent.Channel(m.Channel), Language: m.Language, Wording: redact.String(m.Wording),
		Template: m.Template, TemplateVersion: m.TemplateVersion, IDs: m.IDs,
		SentAt: fromMillis(m.SentAt), AnsweredAt: fromMillis(m.AnsweredAt), Answer: redact.String(m.Answer),
	}
}

func encodeProfile(p *consent.Profile) storedProfile {
	field := func(t *consent.Text) *storedText {
		if t == nil {
			return nil
		}
		return &storedText{t.Value.Reveal(), t.Null}
	}
	out := storedProfile{
		Email: field(p.Email), FirstName: field(p.FirstName),
		LastName: field(p.LastName), FullName: field(p.FullName),
	}
	if p.Verified != nil {
		out.Verified = &storedFlag{p.Verified.Value, p.Verified.Null}
	}
	if p.Phones != nil {
		out.Phones = &storedPhones{Null: p.Phones.Null}
		for _, phone := range p.Phones.List {
			out.Phones.List = append(out.Phones.List, storedPhone{phone.Number.Reveal(), phone.Label})
		}
	}
	return out
}

func decodeProfile(p *storedProfile) consent.Profile {
	field := func(t *storedText) *consent.Text {
		if t == nil {
			return nil
		}
		return &consent.Text{Value: redact.String(t.Value), Null: t.Null}
	}
	out := consent.Profile{
		Email: field(p.Email), FirstName: field(p.FirstName),
		LastName: field(p.LastName), FullName: field(p.FullName),
	}
	if p.Verified != nil {
		out.Verified = &consent.Flag{Value: p.Verified.Value, Null: p.Verified.Null}
	}
	if p.Phones != nil {
		out.Phones = &consent.Phones{Null: p.Phones.Null}
		for _, phone := range p.Phones.List {
			out.Phones.List = append(out.Phones.List, consent.Phone{Number: redact.String(phone.Number), Label: phone.Label})
		}
	}
	return out
}

// decodeEvent reads a row of the table, of the index, or of the stream. A row
// that this version cannot read is an error: whoever decides by it must not
// guess.
func decodeEvent(row item) (*consent.Event, error) {
	e := &consent.Event{
		ID:          strings.TrimPrefix(getText(row, "id"), subjectEventPrefix),
		Kind:        consent.Kind(getText(row, "kind")),
		Site:        getText(row, "site"),
		Subject:     getText(row, "subject"),
		SubjectID:   redact.String(getText(row, "subjectId")),
		KeyID:       getText(row, "keyId"),
		Source:      consent.Source(getText(row, "source")),
		Act:         consent.Act(getText(row, "act")),
		Claimed:     getTime(row, "claimed"),
		Received:    getTime(row, "received"),
		Corrected:   getTimePtr(row, "corrected"),
		SentAt:      getTimePtr(row, "sentAt"),
		DeviceTime:  getTimePtr(row, "deviceTime"),
		ExpiresAt:   getTimePtr(row, "expiresAt"),
		ErasedAt:    getTimePtr(row, "erased_at"),
		IP:          redact.String(getText(row, "ip")),
		ConsentType: getText(row, "consentType"),
		Token:       consent.TokenState(getText(row, "token")),
		Objected:    getList(row, "objected"),
		DocumentIDs: getList(row, "documents"),
	}
	if e.ErasedAt != nil {
		return e, nil
	}
	if e.Kind == "" && row["listing"] != nil {
		e.Kind = consent.KindConsent // the index does not carry the kind: only consents stand in it
	}
	if !e.Readable() {
		return nil, errs.New(errs.Internal, "the ledger holds a row that this version cannot read")
	}
	if b, ok := row["request"].(*types.AttributeValueMemberB); ok {
		copy(e.Request[:], b.Value)
	}
	e.GPC, e.Undated = getBool(row, "gpc"), getBool(row, "undated")
	e.All, e.Lifted, e.Case = getBool(row, "all"), getBool(row, "lifted"), getText(row, "case")
	var profile storedProfile
	var preferences []storedPreference
	var notices []storedNotice
	var proofs []storedProof
	var optIn *storedOptIn
	var confirms *storedConfirmation
	if err := errors.Join(
		getJSON(row, "profile", &profile), getJSON(row, "preferences", &preferences),
		getJSON(row, "notices", &notices), getJSON(row, "proofs", &proofs),
		getJSON(row, "optIn", &optIn), getJSON(row, "confirms", &confirms),
	); err != nil {
		return nil, errs.New(errs.Internal, "the ledger holds a row that this version cannot read")
	}
	e.Profile = decodeProfile(&profile)
	if optIn != nil {
		e.OptIn = &consent.OptIn{
			Channel: consent.Channel(optIn.Channel), Address: redact.String(optIn.Address),
			Language: optIn.Language, Until: fromMillis(optIn.Until),
		}
	}
	if confirms != nil {
		e.Confirms = confirms.decode()
	}
	for _, p := range preferences {
		e.Preferences = append(e.Preferences, consent.Preference{Key: p.Key, Value: string(p.Value)})
	}
	for _, n := range notices {
		e.LegalNotices = append(e.LegalNotices, consent.NoticeRef(n))
	}
	for _, p := range proofs {
		e.Proofs = append(e.Proofs, consent.Proof{
			HasContent: p.HasContent, Content: redact.String(p.Content), ContentDigest: p.ContentDigest,
			ContentBytes: p.ContentBytes, FormDigest: p.FormDigest, FormNonce: p.FormNonce, FormBytes: p.FormBytes,
		})
	}
	return e, nil
}
