/** What fields of the bundled packs are called. A pack of one's own is shown by the names that it has. */
import { humanise } from "../format/units.ts";
import type { Language } from "./i18n.tsx";

type Names = Readonly<Record<string, string>>;

const KO: Names = {
  total: "합계", count: "건수", month: "월", date: "날짜", cohort: "코호트", enrolled: "등록", retention: "리텐션",
  users: "사용자", students: "학생", mentors: "멘토", verified: "인증됨", verification_rate: "인증률", sessions: "세션",
  completed: "완료", scheduled: "예정", cancelled: "취소", completion_rate: "완료율", courses: "강좌", published: "공개됨",
  enrollments: "수강 신청", reviews: "리뷰", average_rating: "평균 평점", avg_rating: "평균 평점", revenue: "매출",
  new_users: "신규 사용자", total_revenue: "총매출", transaction_count: "거래 수", avg_transaction: "평균 거래액",
  daily_revenue: "일별 매출", by_status: "상태별", avg_duration_minutes: "평균 시간", top_mentors: "상위 멘토",
  course_title: "강좌명", avg_progress: "평균 진도", monthly: "월별", by_store: "매장별", store_name: "매장",
  transactions_count: "거래 수", total_points_earned: "적립 포인트", estimated_revenue_cents: "추정 매출",
  unique_customers: "고유 고객", cards: "카드", at_risk_count: "이탈 위험", total_cards_checked: "확인한 카드",
  card_number: "카드 번호", customer_name: "고객", days_inactive: "비활동 기간", avg_interval_days: "평균 간격",
  points_balance: "포인트 잔액", cohorts: "코호트", churn: "이탈", platform: "플랫폼", user_growth: "사용자 증가",
  engagement: "참여", overview: "개요", chatbot: "챗봇", gaps: "답하지 못한 질문", new_tenants: "신규 기관", sr_count: "SR 건수",
  tenant_growth: "기관 성장", user_retention: "사용자 리텐션", sr_resolution: "SR 해결", feature_adoption: "기능 도입",
  feature: "기능", usage_count: "사용 횟수", adopted: "도입", tenants_adopted: "도입 기관", adoption_rate: "도입률",
  first_used_at: "최초 사용", total_conversations: "총 대화", total_messages: "총 메시지", unique_sessions: "고유 세션",
};

const RU: Names = {
  total: "Всего", count: "Количество", month: "Месяц", date: "Дата", cohort: "Когорта", enrolled: "Записались", retention: "Удержание",
  users: "Пользователи", students: "Студенты", mentors: "Наставники", verified: "Подтверждены", verification_rate: "Доля подтверждённых",
  sessions: "Занятия", completed: "Завершено", scheduled: "Запланировано", cancelled: "Отменено", completion_rate: "Доля завершённых",
  courses: "Курсы", published: "Опубликовано", enrollments: "Записи", reviews: "Отзывы", average_rating: "Средняя оценка",
  avg_rating: "Средняя оценка", revenue: "Выручка", new_users: "Новые пользователи", total_revenue: "Выручка всего",
  transaction_count: "Платежей", avg_transaction: "Средний платёж", daily_revenue: "Выручка по дням", by_status: "По состоянию",
  avg_duration_minutes: "Средняя длительность", top_mentors: "Лучшие наставники", course_title: "Курс", avg_progress: "Средний прогресс",
  monthly: "По месяцам", by_store: "По магазинам", store_name: "Магазин", transactions_count: "Операций",
  total_points_earned: "Начислено баллов", estimated_revenue_cents: "Оценка выручки", unique_customers: "Покупателей", cards: "Карты",
  at_risk_count: "Под угрозой ухода", total_cards_checked: "Проверено карт", card_number: "Номер карты", customer_name: "Покупатель",
  days_inactive: "Без активности", avg_interval_days: "Средний интервал", points_balance: "Баланс баллов", cohorts: "Когорты",
  churn: "Отток", platform: "Платформа", user_growth: "Рост пользователей", engagement: "Вовлечённость", overview: "Обзор",
  chatbot: "Чат-бот", gaps: "Вопросы без ответа", new_tenants: "Новые организации", tenant_growth: "Рост организаций",
  user_retention: "Удержание пользователей", sr_resolution: "Решение заявок", feature_adoption: "Освоение функций", feature: "Функция",
  usage_count: "Использований", adopted: "Освоено", tenants_adopted: "Организаций", adoption_rate: "Доля освоивших",
  first_used_at: "Первое использование", total_conversations: "Разговоров", total_messages: "Сообщений", unique_sessions: "Сеансов",
};

const NAMES: Readonly<Record<Language, Names>> = { en: {}, ko: KO, ru: RU };

export const fieldName = (field: string, language: Language): string => NAMES[language][field] ?? humanise(field);
