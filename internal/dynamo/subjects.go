package dynamo

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
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

// Subjects keeps the projected views and what they are searched by.
type Subjects struct {
	client *client
	table  string
}

var _ consent.ViewReader = (*Subjects)(nil)

// NewSubjects returns the views in the given table.
func NewSubjects(cfg aws.Config, table string) *Subjects {
	return &Subjects{client: newClient(cfg), table: table}
}

// View implements consent.ViewReader.
func (s *Subjects) View(ctx context.Context, subject string) (*consent.SubjectView, error) {
	out, err := s.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &s.table, ConsistentRead: aws.Bool(true), Key: viewKey(subject),
	})
	if err != nil || out.Item == nil {
		return nil, cloud.Fault("dynamodb GetItem", err)
	}
	return readable(decodeView(out.Item))
}

// readable gives no view that could not be read in full.
func readable(v *consent.SubjectView, err error) (*consent.SubjectView, error) {
	if err != nil {
		return nil, err
	}
	return v, nil
}

// Views implements consent.ViewReader.
func (s *Subjects) Views(ctx context.Context, subjects []string) (map[string]*consent.SubjectView, error) {
	return s.batch(ctx, subjects, false)
}

// Stored is Views, read consistently and for the one who writes views: a row
// that cannot be read in full comes back with what could be read, to be
// replaced.
func (s *Subjects) Stored(ctx context.Context, subjects []string) (map[string]*consent.SubjectView, error) {
	return s.batch(ctx, subjects, true)
}

func (s *Subjects) batch(ctx context.Context, subjects []string, consistent bool) (map[string]*consent.SubjectView, error) {
	found := make(map[string]*consent.SubjectView, len(subjects))
	var keys []item
	for _, subject := range slices.Compact(slices.Sorted(slices.Values(subjects))) {
		keys = append(keys, viewKey(subject))
	}
	err := batchGet(ctx, s.client, s.table, keys, consistent, func(row item) error {
		v, err := decodeView(row)
		if err != nil && !consistent {
			return err
		}
		found[v.Subject] = v
		return nil
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// ViewsOfSite implements consent.ViewReader.
func (s *Subjects) ViewsOfSite(ctx context.Context, site string, span consent.Span, limit int) ([]*consent.SubjectView, error) {
	return s.list(ctx, "BySite", "site", site, span, limit)
}

// ViewsOfEmail implements consent.ViewReader.
func (s *Subjects) ViewsOfEmail(ctx context.Context, emailKey string, span consent.Span, limit int) ([]*consent.SubjectView, error) {
	return s.list(ctx, "ByEmail", "emailKey", emailKey, span, limit)
}

func (s *Subjects) list(ctx context.Context, index, partition, value string, span consent.Span, limit int) ([]*consent.SubjectView, error) {
	low, high := createdBounds(span)
	if low > high || limit < 1 {
		return nil, nil
	}
	pages := dynamodb.NewQueryPaginator(s.client, &dynamodb.QueryInput{
		TableName: &s.table, IndexName: &index,
		KeyConditionExpression:    aws.String("#p = :p AND created BETWEEN :low AND :high"),
		ExpressionAttributeNames:  map[string]string{"#p": partition},
		ExpressionAttributeValues: item{":p": text(value), ":low": text(low), ":high": text(high)},
		ScanIndexForward:          aws.Bool(false),
		Limit:                     aws.Int32(int32(limit)),
	})
	var list []*consent.SubjectView
	for pages.HasMorePages() && len(list) < limit {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, cloud.Fault("dynamodb Query", err)
		}
		for _, row := range page.Items[:min(len(page.Items), limit-len(list))] {
			v, err := readable(decodeView(row))
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
	}
	return list, nil
}

// createdBounds are the lowest and highest text that a span allows viewCreated
// to be. Times lie within the four-digit years that keys can hold.
func createdBounds(span consent.Span) (low, high string) {
	const end = 253402300799999 // the last millisecond of the year 9999
	within := func(ms int64) string { return createdAt(time.UnixMilli(min(max(0, ms), end))) }
	low, high = "0", "~"
	if !span.From.IsZero() {
		low = within(span.From.Add(time.Millisecond - 1).UnixMilli())
	}
	if !span.To.IsZero() {
		high = within(span.To.UnixMilli()) + "~"
	}
	if span.Before != nil {
		// The highest text below a place: its last character one less, then anything.
		p := viewCreated(*span.Before)
		high = min(high, p[:len(p)-1]+string(p[len(p)-1]-1)+"~")
	}
	return low, high
}

// Search implements consent.ViewReader.
func (s *Subjects) Search(ctx context.Context, site string, token consent.Token, limit int) ([]consent.Entry, error) {
	pages := dynamodb.NewQueryPaginator(s.client, &dynamodb.QueryInput{
		TableName:                 &s.table,
		KeyConditionExpression:    aws.String("pk = :p AND begins_with(sk, :t)"),
		ExpressionAttributeValues: item{":p": text(searchKey(site, token)), ":t": text(token.Text.Reveal())},
		Limit:                     aws.Int32(int32(limit)),
	})
	var list []consent.Entry
	for pages.HasMorePages() && len(list) < limit {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, cloud.Fault("dynamodb Query", err)
		}
		for _, row := range page.Items[:min(len(page.Items), limit-len(list))] {
			e, ok := parseSearch(getText(row, "pk"), getText(row, "sk"))
			if !ok {
				return nil, errUnreadableView
			}
			list = append(list, e)
		}
	}
	return list, nil
}

// Save replaces the view that the caller read by the next one: prior is nil when
// there was none, next is nil when none is left. The view row and the search
// entries that come and go with it change together or not at all. When another
// has changed the view since, nothing changes and the error is ErrViewChanged.
func (s *Subjects) Save(ctx context.Context, prior, next *consent.SubjectView) error {
	before, after := entryKeys(prior.Entries()), entryKeys(next.Entries())
	for key := range before {
		if _, stays := after[key]; stays {
			delete(before, key)
			delete(after, key)
		}
	}
	return s.write(ctx, prior, next, after, before)
}

// Repair puts all search entries of a stored view again and deletes those that
// do not belong to it. view is nil when the subject has no view.
func (s *Subjects) Repair(ctx context.Context, view *consent.SubjectView, stray []consent.Entry) error {
	for _, key := range sortedKeys(entryKeys(stray)) {
		_, err := s.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{TableName: &s.table, Key: key.item()})
		if err != nil {
			return cloud.Fault("dynamodb DeleteItem", err)
		}
	}
	if view == nil {
		return nil
	}
	return s.write(ctx, view, view, entryKeys(view.Entries()), nil)
}

// write changes the view row under the version check and, in the same
// transaction, search entries. Without entries a plain write costs half.
func (s *Subjects) write(ctx context.Context, prior, next *consent.SubjectView, puts, deletes map[rowKey]struct{}) error {
	condition := aws.String("attribute_not_exists(pk)")
	var values item
	version := 1 + rand.Int64N(1<<48) // a row that is made anew never has a version that an earlier one had
	if prior != nil {
		condition, values = aws.String("version = :v"), item{":v": number(prior.Version)}
		version = prior.Version + 1
	}
	var row types.TransactWriteItem
	if next != nil {
		row.Put = &types.Put{
			TableName: &s.table, Item: encodeView(next, version),
			ConditionExpression: condition, ExpressionAttributeValues: values,
		}
	} else {
		row.Delete = &types.Delete{
			TableName: &s.table, Key: viewKey(prior.Subject),
			ConditionExpression: condition, ExpressionAttributeValues: values,
		}
	}
	if len(puts)+len(deletes) == 0 {
		return s.writeRow(ctx, row)
	}
	writes := []types.TransactWriteItem{row}
	for _, key := range sortedKeys(puts) {
		writes = append(writes, types.TransactWriteItem{Put: &types.Put{TableName: &s.table, Item: key.item()}})
	}
	for _, key := range sortedKeys(deletes) {
		writes = append(writes, types.TransactWriteItem{Delete: &types.Delete{TableName: &s.table, Key: key.item()}})
	}
	_, err := s.client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: writes})
	return transactionFault(err)
}

func (s *Subjects) writeRow(ctx context.Context, row types.TransactWriteItem) error {
	var err error
	operation := "dynamodb PutItem"
	if put := row.Put; put != nil {
		_, err = s.client.PutItem(ctx, &dynamodb.PutItemInput{
			TableName: put.TableName, Item: put.Item,
			ConditionExpression: put.ConditionExpression, ExpressionAttributeValues: put.ExpressionAttributeValues,
		})
	} else {
		operation = "dynamodb DeleteItem"
		_, err = s.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
			TableName: row.Delete.TableName, Key: row.Delete.Key,
			ConditionExpression: row.Delete.ConditionExpression, ExpressionAttributeValues: row.Delete.ExpressionAttributeValues,
		})
	}
	var failed *types.ConditionalCheckFailedException
	var conflict *types.TransactionConflictException
	if errors.As(err, &failed) || errors.As(err, &conflict) {
		return consent.ErrViewChanged
	}
	return cloud.Fault(operation, err)
}

// transactionFault tells why a transaction was not made. Another one at the same
// rows has changed the view, or is about to.
func transactionFault(err error) error {
	const operation = "dynamodb TransactWriteItems"
	switch code := canceled(err); {
	case code == "":
		return cloud.Fault(operation, err)
	case code == conditionFailed, code == transactionConflict:
		return consent.ErrViewChanged
	case passes(code):
		return errs.New(errs.Unavailable, "%s: %s", operation, code)
	default:
		return errs.New(errs.Internal, "%s: %s", operation, code)
	}
}

// Walk calls f with every view, as Stored gives it, and g with every search
// entry, in no order: what a rebuild compares with the ledger.
func (s *Subjects) Walk(ctx context.Context, f func(*consent.SubjectView) error, g func(consent.Entry) error) error {
	pages := dynamodb.NewScanPaginator(s.client, &dynamodb.ScanInput{TableName: &s.table, ConsistentRead: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return cloud.Fault("dynamodb Scan", err)
		}
		for _, row := range page.Items {
			if err := walkRow(row, f, g); err != nil {
				return err
			}
		}
	}
	return nil
}

func walkRow(row item, f func(*consent.SubjectView) error, g func(consent.Entry) error) error {
	if getText(row, "sk") == viewSort {
		v, _ := decodeView(row)
		return f(v)
	}
	e, ok := parseSearch(getText(row, "pk"), getText(row, "sk"))
	if !ok {
		return errUnreadableView
	}
	return g(e)
}

// rowKey is the key of a row.
type rowKey struct{ pk, sk string }

func (k rowKey) item() item { return item{"pk": text(k.pk), "sk": text(k.sk)} }

func viewKey(subject string) item { return rowKey{subject, viewSort}.item() }

func entryKeys(entries []consent.Entry) map[rowKey]struct{} {
	keys := make(map[rowKey]struct{}, len(entries))
	for _, e := range entries {
		keys[rowKey{searchKey(e.Site, e.Token), searchSort(e)}] = struct{}{}
	}
	return keys
}

// sortedKeys orders what is written, so that the same change is the same
// request.
func sortedKeys(keys map[rowKey]struct{}) []rowKey {
	list := make([]rowKey, 0, len(keys))
	for k := range keys {
		list = append(list, k)
	}
	slices.SortFunc(list, func(a, b rowKey) int { return cmp.Or(cmp.Compare(a.pk, b.pk), cmp.Compare(a.sk, b.sk)) })
	return list
}

var errUnreadableView = errs.New(errs.Internal, "the view holds a row that this version cannot read")

// The parts of a view that are kept as JSON text.
type (
	storedState struct {
		Granted bool           `json:"g,omitempty"`
		Reason  consent.Reason `json:"r"`
		Value   string         `json:"v,omitempty"`
		IDs     []string       `json:"c,omitempty"`
		Since   int64          `json:"s"`
		Own     *int64         `json:"o,omitempty"`
		Until   *int64         `json:"u,omitempty"`
	}
	storedAnswer struct {
		Preference string `json:"k"`
		storedState
		Latest *storedState `json:"l,omitempty"`
	}
)

func encodeView(v *consent.SubjectView, version int64) item {
	row := viewKey(v.Subject)
	row["version"] = number(version)
	row["site"] = text(v.Site)
	row["subjectId"] = text(v.SubjectID.Reveal())
	row["created"] = text(viewCreated(v.Position()))
	row["updated"] = millis(v.Updated)
	row["events"] = number(int64(v.Events))
	row["digest"] = number(int64(v.Digest))
	row.setText("email", v.Email.Reveal())
	row.setText("firstName", v.FirstName.Reveal())
	row.setText("lastName", v.LastName.Reveal())
	row.setText("fullName", v.FullName.Reveal())
	row.setText("emailKey", v.EmailKey)
	row.setList("members", v.Members)
	for name, set := range map[string]bool{"verified": v.Verified, "partial": v.Partial, "tooMany": v.TooMany} {
		if set {
			row[name] = &types.AttributeValueMemberBOOL{Value: true}
		}
	}
	if len(v.Phones) > 0 {
		row.setJSON("phones", encodeProfile(&consent.Profile{Phones: &consent.Phones{List: v.Phones}}).Phones.List)
	}
	if len(v.Answers) > 0 {
		answers := make([]storedAnswer, len(v.Answers))
		for i, a := range v.Answers {
			answers[i] = storedAnswer{Preference: a.Preference, storedState: encodeState(a.State)}
			if a.Latest != nil {
				answers[i].Latest = new(encodeState(*a.Latest))
			}
		}
		row.setJSON("answers", answers)
	}
	var tokens []string
	for _, t := range v.Tokens {
		tokens = append(tokens, string(t.Field)+":"+t.Text.Reveal())
	}
	row.setList("tokens", tokens)
	return row
}

func encodeState(s consent.State) storedState {
	out := storedState{Granted: s.Granted, Reason: s.Reason, Value: s.Value, IDs: s.ConsentIDs, Since: s.Since.UnixMilli()}
	if s.Own != nil {
		out.Own = new(s.Own.UnixMilli())
	}
	if s.Until != nil {
		out.Until = new(s.Until.UnixMilli())
	}
	return out
}

func (s storedState) state(preference string) consent.State {
	out := consent.State{
		Preference: preference, Granted: s.Granted, Reason: s.Reason, Value: s.Value,
		ConsentIDs: s.IDs, Since: time.UnixMilli(s.Since).UTC(),
	}
	if s.Own != nil {
		out.Own = new(time.UnixMilli(*s.Own).UTC())
	}
	if s.Until != nil {
		out.Until = new(time.UnixMilli(*s.Until).UTC())
	}
	return out
}

// decodeView reads a row of the table or of an index. With an error comes what
// could be read.
func decodeView(row item) (*consent.SubjectView, error) {
	place, ok := parseCreated(getText(row, "created"))
	v := &consent.SubjectView{
		Site:      getText(row, "site"),
		Subject:   getText(row, "pk"),
		SubjectID: redact.String(getText(row, "subjectId")),
		Version:   getNumber(row, "version"),
		Created:   place.Created,
		Updated:   getTime(row, "updated"),
		Email:     redact.String(getText(row, "email")),
		FirstName: redact.String(getText(row, "firstName")),
		LastName:  redact.String(getText(row, "lastName")),
		FullName:  redact.String(getText(row, "fullName")),
		Verified:  getBool(row, "verified"),
		EmailKey:  getText(row, "emailKey"),
		Partial:   getBool(row, "partial"),
		TooMany:   getBool(row, "tooMany"),
		Members:   getList(row, "members"),
		Events:    int(getNumber(row, "events")),
		Digest:    uint64(getNumber(row, "digest")),
	}
	var phones []storedPhone
	var answers []storedAnswer
	err := errors.Join(getJSON(row, "phones", &phones), getJSON(row, "answers", &answers))
	if err != nil || !ok {
		err = errUnreadableView
	}
	for _, p := range phones {
		v.Phones = append(v.Phones, consent.Phone{Number: redact.String(p.Number), Label: p.Label})
	}
	for _, a := range answers {
		answer := consent.Answer{State: a.state(a.Preference)}
		if a.Latest != nil {
			answer.Latest = new(a.Latest.state(a.Preference))
		}
		v.Answers = append(v.Answers, answer)
	}
	for _, t := range getList(row, "tokens") {
		field, token, _ := strings.Cut(t, ":")
		v.Tokens = append(v.Tokens, consent.Token{Field: consent.Field(field), Text: redact.String(token)})
	}
	return v, err
}
