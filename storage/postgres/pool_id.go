package postgres

import (
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
)

// id is a [uuid.UUID] as the driver knows ids: by itself it would write each as
// text. Half of all that is sent is ids.
type id uuid.UUID

// UUIDValue implements [pgtype.UUIDValuer].
func (i id) UUIDValue() (pgtype.UUID, error) { return pgtype.UUID{Bytes: i, Valid: true}, nil }

// idTarget is where an id is read to.
type idTarget uuid.UUID

// ScanUUID implements [pgtype.UUIDScanner].
func (i *idTarget) ScanUUID(v pgtype.UUID) error {
	if !v.Valid {
		return errors.New("an id is null")
	}
	*i = v.Bytes
	return nil
}

type idPlan struct{ next pgtype.EncodePlan }

func (p *idPlan) SetNext(next pgtype.EncodePlan) { p.next = next }

func (p *idPlan) Encode(value any, buf []byte) ([]byte, error) {
	return p.next.Encode(id(value.(uuid.UUID)), buf) //nolint:forcetypeassert // wrapID checked it
}

func wrapID(value any) (plan pgtype.WrappedEncodePlanNextSetter, next any, ok bool) {
	if v, ok := value.(uuid.UUID); ok {
		return &idPlan{}, id(v), true
	}
	return nil, nil, false
}

type idTargetPlan struct{ next pgtype.ScanPlan }

func (p *idTargetPlan) SetNext(next pgtype.ScanPlan) { p.next = next }

func (p *idTargetPlan) Scan(src []byte, target any) error {
	return p.next.Scan(src, (*idTarget)(target.(*uuid.UUID))) //nolint:forcetypeassert // wrapIDTarget checked it
}

func wrapIDTarget(target any) (plan pgtype.WrappedScanPlanNextSetter, next any, ok bool) {
	if v, ok := target.(*uuid.UUID); ok {
		return &idTargetPlan{}, (*idTarget)(v), true
	}
	return nil, nil, false
}
