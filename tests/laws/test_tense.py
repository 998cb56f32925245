"""Past tense: several hundred names, none of which may be accused wrongly."""

from __future__ import annotations

import pytest

from procession.laws.participles import IRREGULAR, NOT_PAST, PAST_IN_EED, SAME_FORM
from procession.laws.tense import is_past_tense


def words(text: str) -> list[str]:
    return text.split()


PAST = words(
    """
    OrderPlaced OrderWasPlaced OrderConfirmed OrderShipped OrderCancelled OrderCanceled OrderReturned OrderSplit
    OrderMerged OrderSentBack OrderLost OrderFound OrderHeld OrderPutOnHold OrderTakenOver OrderBroken
    OrderReset OrderRerouted StockRanOut StockReserved StockReleased StockRanLow StockWrittenOff StockCounted
    StockMoved StockFell StockRose PaymentCaptured PaymentDeclined PaymentReceived PaymentMade PaymentWithdrawn
    PaymentHeldBack PaymentWindowClosed PaymentTimedOut PaymentBounced PaymentOverdue PaymentSettled
    PaymentRefunded PaymentFailed PaymentPaidOut InvoicePaid InvoiceOverpaid InvoiceUnderpaid InvoiceSent
    InvoiceResent InvoiceWritten InvoiceRewritten InvoiceDue2DaysAgo CardCharged CardRefunded CardStolen
    CardBlocked CardUnblocked CardWorn CardLent ParcelShipped ParcelTurnedDown ParcelSentBack ParcelGotLost
    ParcelLeftDepot ParcelStuck ParcelWeighed ParcelReachedHub ParcelHandedOver ParcelBroke AccountOpened
    AccountClosed AccountFrozen AccountUnfrozen AccountOverdrawn AccountCreated AccountDeleted AccountLinked
    UserSignedUp UserLoggedIn UserLoggedOut UserBecameActive UserGone UserForgotten UserForgot UserBanned
    UserInvited UserLeft UserJoined UserWoken UserWokeUp UserSworn UserSwore UserTaught UserUnderstood
    PasswordReset PasswordSet PasswordForgotten EmailSent EmailRead EmailBounced EmailCaught EmailHidden
    MessageSent MessageRead MessageSpoken MessageHeard MessageOverheard MessageBroadcast MessageWithheld
    MeterRead PriceSet PriceCut PriceRisen PriceRose PriceHit PriceQuoted BidPlaced BidLost BidWon AuctionWon
    AuctionBegan AuctionBegun AuctionRun AuctionEnded GameWon GameLost GameDrawn GameBroken RoomBooked RoomLet
    RoomLeft RoomSwept SeatTaken SeatGiven SeatGivenUp TicketSold TicketResold TicketBought TicketTorn
    TicketForsaken BatchReceived BatchSettled BatchRun BatchBegan BatchCut BatchSpread BatchUndone BatchRedone
    BatchDone ItemAbandoned ItemBid ItemShut ItemShed ItemThrownAway ItemDrawn ItemGround ItemWound ItemWoven
    ItemSewn ItemSown ItemHewn ItemBuilt ItemRebuilt ItemBent ItemBound ItemUnbound ItemHung ItemDug ItemFed
    ItemBurnt ItemSpoilt ItemSpilt ItemSpelt ItemSwollen ItemShrunk ItemShaken ItemShorn ItemSunk ItemSlid
    ItemSlung ItemStruck ItemStrung ItemSpun ItemTrodden ItemThrown ItemUpheld ItemUnsent ItemMistaken
    ItemForbidden ItemForgiven ItemForeseen ItemBeheld ItemBorne ItemBorn ItemBred ItemFled ItemFlown ItemFlung
    ItemFought ItemLaid ItemLed ItemLit ItemLeapt ItemMeant ItemMet ItemOverridden ItemPreset ItemProven
    ItemQuit ItemRung ItemSaid ItemSat ItemSawn ItemSeen ItemSought ItemSlept ItemSplit ItemStood ItemUnderwent
    ItemUndertaken ItemWept ItemWon ItemWrung ItemAte ItemEaten ItemDrunk ContractSigned ContractAgreed
    ContractBroken ContractDrawnUp ContractDecreed LoanGranted LoanGiven LoanRepaid LoanTaken LoanGuaranteed
    LoanFellThrough LoanForeclosed DocumentFiled DocumentKept DocumentCopied DocumentScanned DocumentTied
    TenantMovedIn TenantMovedOut TenantEvicted SlaveFreed GreetingSent MomentPassed GuestArrived GuestGreeted
    GuestCame GuestWent GuestShownIn CaseOpened CaseReopened CaseWithdrawn CaseBrought CaseTried CaseDealtWith
    CaseFallen ShipmentLost ShipmentHeldUp ShipmentBegun ReservationLost ReservationKept ChargeLost
    ProvisioningRequested AccountRemoved AccountRefused AnswerWindowClosed OfferFollowedUp ASubmitted
    APartlySubmitted APreaccepted OSentBack OSent OAccepted WorkScheduled WorkStarted WorkCompleted
    DNSRecordAdded HTTPRequestMade VATPaid URLFetched V2Released BackupTaken BackupFailed DiskFilledUp
    DiskRanFull NodeJoined NodeLeft NodeFell NodeWentDown NodeCameUp LeaderElected LeaseExpired LeaseLost
    LockTaken LockLost SnapshotTaken SnapshotThrownAway SensorRead SensorTripped TemperatureRose TemperatureFell
    TemperatureExceeded AlarmRang AlarmRaised DoorOpened DoorShut DoorLeftOpen LightTurnedOn LightLit
    TrainDelayed TrainLeft TrainArrived FlightFlown FlightOverbooked FlightBooked FlightCancelled FlightTookOff
    FlightDrawn PatientAdmitted PatientDischarged PatientSeen PatientBled PatientFell PatientWoke BloodDrawn
    DoseGiven DoseMissed Split Paid Expired Sent Reset Lost
    """
)

NOT_IN_THE_PAST = words(
    """
    PlaceOrder ShipOrder CancelOrder CreateAccount DeleteAccount SendEmail ReadMessage SetPrice CutPrice
    ResetPassword PutOnHold SplitBatch ShutDoor LetRoom HitTarget QuitGame BidOnItem SpreadBatch ChargeCard
    RefundCard ReserveStock OrderPlacement OrderCancellation OrderEvent OrderUpdate OrderShipping OrderProceed
    OrderExceed OrderFeed OrderNeed PaymentReceipt PaymentFailure PaymentTimeout PaymentReminder PaymentDue
    PaymentSpeed PaymentSucceed Chargeback Refund UserLogin UserSignUp UserSeed UserDeletion UserNeedsHelp
    AccountOpening AccountClosing AccountFreeze Notification Heartbeat Tick BatchStart BatchEnd BatchRunning
    ItemMoves ItemShip ItemRed ItemHundred BedCount FeedUpdate WeedOut NextStep Indeed SacredText NakedOption
    EmbedVideo StockLevel PriceChange PriceIncrease MeterReading ShipmentTracking InvoiceSummary InvoiceToPay
    Order A X9
    """
)


def test_there_are_several_hundred_names() -> None:
    assert len(set(PAST)) > 300
    assert len(set(NOT_IN_THE_PAST)) > 70


@pytest.mark.parametrize("name", ["OrderPlaced", "StockRanOut", "DNSRecordAdded", "MeterRead"])
def test_a_fact_is_told_from_its_name(name: str) -> None:
    assert is_past_tense(name)


def test_no_fact_is_accused() -> None:
    assert [name for name in PAST if not is_past_tense(name)] == []


def test_orders_nouns_and_presents_are_found() -> None:
    assert [name for name in NOT_IN_THE_PAST if is_past_tense(name)] == []


def test_the_lists_of_words_do_not_contradict_each_other() -> None:
    assert not IRREGULAR & SAME_FORM
    assert not (IRREGULAR | PAST_IN_EED) & NOT_PAST - {"shed", "wed"}
